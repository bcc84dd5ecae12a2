"""Texts of many scripts, written for comparing: names, numbers, symbols, white space, and one that is long."""

from __future__ import annotations

from candlewick._verify import Text

SINGLE: list[Text] = [
    "Maria Lindqvist moved from Gothenburg to Toronto in 2009 to work for Northern Lakes Shipping.",
    "The soup was cold, the waiter was rude, and still we stayed until midnight.",
    "I can't believe how well this little radio sounds!",
    "Dr. O'Neill (St. Mary's Hospital, Leeds) can be reached at +44 113 496 0000 or o.neill@example.org.",
    "Am 3. Oktober besuchte Jürgen Weiß mit seiner Tochter das Völkerkundemuseum in München.",
    "L'équipe d'Amélie Beaumont a présenté ses résultats à l'université de Genève.",
    "La señora Núñez nació en Córdoba, pero vive desde hace años en Montevideo.",
    "João não gostou do filme, mas a música de Lisboa ficou-lhe na cabeça.",
    "De burgemeester van Utrecht opende gisteren de nieuwe brug over de Vecht.",
    "Zażółć gęślą jaźń, powiedział Łukasz w Krakowie.",
    "Ayşe İstanbul'da çalışıyor, kardeşi İzmir'de yaşıyor.",
    "Анна Петрова живёт в Новосибирске и пишет для местной газеты.",
    "Η Ελένη Παπαδοπούλου ταξίδεψε από την Αθήνα στη Θεσσαλονίκη.",
    "سافر خالد من عمّان إلى بيروت يوم الخميس.",
    "רותי גרה בחיפה ועובדת בתל אביב.",
    "मीरा शर्मा जयपुर में पढ़ाती हैं।",
    "陈静去年从成都搬到了上海，在一家医院工作。",
    "田中さんは来週、京都で友だちに会う予定です。",
    "김민수는 부산에서 태어나 서울에서 자랐다.",
    "สมชายทำงานที่เชียงใหม่มาสิบปีแล้ว",
    "Nguyễn Thị Hoa sống ở Đà Nẵng.",
    "Flight LH-454 leaves gate B27 at 10:35; tickets cost €419.90 (≈ $455), 12% less than on 01/02/2024.",
    "so happy 😀😀 thanks @anna 👩‍👩‍👧 #bestday 🇳🇿",
    "  two  spaces,\ta tab\nand a new line  ",
    "ﬁne print: ½ cup ™ … ＡＢＣ cafe\u0301 a\u00adb",
    "",
    "Ada Novak met Tom Berg in Vienna. " * 40,
]

PAIRS: list[Text] = [
    ("Where does Maria work?", "Maria Lindqvist works for a shipping company in Toronto."),
    ("Where does Maria work?", "The soup was cold."),
    ("A man is playing the violin on a square.", "Nobody makes music."),
    ("Was kostet die Fahrkarte?", "Die Fahrkarte nach München kostet 49 Euro. " * 30),
]
