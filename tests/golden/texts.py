"""The texts of the goldens: written for them, of many scripts and kinds of white space."""

#: What every checkpoint reads, one by one.
TEXTS = [
    "My name is Sarah Jessica Parker but you can call me Jessica",
    "Hello Sarah Jessica Parker who Jessica lives in New York",
    "Groenlinks praat over Schiphol.",
    "Consuelo Araújo Noguera, ministra de cultura del presidente Andrés Pastrana (1998.2002)",
    "Zoë Müller-Straße lives at St. John's, 04-00-04 3.5% don't! can't",
    "New\nYork\tSarah\r\nParis Berlin",
    "two  spaces   and a trailing one ",
    " leading space",
    "Sarah[SEP]Sarah <mask> a </s> b [MASK] <pad> c",
    "Ångström naïve façade cafe\u0301 Việt Nam",
    "Владимир живёт в Москве, Αθήνα και Ελλάδα",
    "東京に住むサラ 北京 서울에서 한국어 กรุงเทพ",
    "محمد يعيش في القاهرة שלום ירושלים दिल्ली भारत",
    "sarah 😀 paris 👩‍👩‍👧 🇩🇪 café 😀 don't",
    "zzz☃zzz unknown☃middle Sarah-☃Jessica",
    "a\u0000sarah \ufffd b\u200bc \u00add",
    "ﬁne ½ ① ™ … ＦＵＬＬ 　wide",
    "U.S. U.N. e.g. http://example.org/a?b=c&d=1 mail@example.org #tag @user",
    "THE ACME CORP. OF LONDON SUED MR. JONES",
    "\"quoted\" 'single' (paren) [bracket] {brace} a/b a\\b a_b",
    "x",
    "",
    "   ",
    "\n\t ",
    "\U00016ea0\U00016eb9 \U0001df25 \u1c89\u1c8a \ua7cb\ua7da \U00010d4a letters that are new",
]

#: Longer than the checkpoints' limits.
LONG = (
    "Ada Lovelace met Charles Babbage in London in 1833, and wrote to Michael Faraday at the Royal Institution. "
    "Later Mary Somerville travelled to Rome, Naples and Florence with Jessica Parker of New York University. "
)

#: Pairs for text classification.
PAIRS = [
    ("What is Paris?", "Paris is the capital of France"),
    ("Sarah", "New York"),
    ("a b c d e f g h i j k l m n", "z"),
    ("", "only the second"),
]

WORDS = [
    ["Hello", "Sarah", "lives", "in", "New", "York"],
    ["Zoë", "", "New York", "don't", "."],
]
