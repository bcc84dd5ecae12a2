"""Texts for the tokenizer of flair, and the tokens that segtok makes of them."""

from __future__ import annotations

import random
import unicodedata

import texts
from flair.data import Sentence

#: From the specification and the rules, one thing each.
FIXED = [
    "He's in the U.S. and doesn't care.",
    "Mr. Smith paid $1,000.50 at 12:30pm; e.g. http://example.com/a?b=c.",
    "can't won't John's the dogs' tails",
    "Hello...World ... ok!!",
    "5€... Really?",
    "AT&T 24/7 C++ 3.5%",
    "it’s 5'-ACGT-3' H₂O",
    "50 m² and 3 km⁻¹ of C₆H₁₂O₆ with SO₄²⁻ and [Fe(CN)₆]⁴⁻ µm² xyzq³",
    "He met A. Dent (by A.-B. Dent). Dr. Who and C. Ford et al. (2001) say so. And then.",
    "On 5. May 1999 we met. On 15. 6. too. Fred A. Smith left. fig. 3 shows it. No. 5 is alive.",
    '(This is open. Still open) Closed. [See. there] "Hello!" said he. spp. of m. musculus. L. pneumophila.',
    "a\nb.\n\nc. d\re-\rf g\u00ad\rh foo\x1cbar. \x1c baz. \x85 end",
    "x-ray y--z e.g.-like a.-b.- 1:2:3 a:b 1,2,a,b,, ;;; ,:; word,;: .stuff ...stuff stuff... a....b",
    "rock'n'roll o'clock 'tis dogs's' isn't n't mustn’t we'll they've I'm it's he'd you’re x-y's ʼs aʼbʼs bʼll",
    "東京. 北京。Привет. Ελλάδα; सी. हिन्दी ǅ. ⅷ. ٣.٥ ª²",
    "!? ?! . .. .. . ... ( ) [ ] \" ' ‘ ’ ” “ — - – …",
    "U.K. and U.S.A. was i.e. the Prof. of Col. Sgt. Jan. 5 approx. 7 vs. 8",
    "Captain A. Professor B. Señorita C. Doktor D, and E. Smith, F. and G. Smith and H. I, J.-K. end",
]
_PIECES = [
    *"aAbBsStdDxXzZ01259éÅßλЖあ東ªǅⅷ٣", *".,:;!?()[]\"'’´ʼ-–\u00ad‐/&+%€$_@#", *" \t\n\r\u00a0\u2009\x1c\x85\u200b",
    " ", " ", " ", ". ", ", ", ".\n", "...", "e.g.", "i.e. ", "Mr. ", "U.S. ", " et al. ", "fig. ", "by A. ",
    "Prof. B. ", "n't", "'s", "’ll", "'ve", "’", "²", "³", "⁻¹", "₂", "⁺", "H₂O", "km²", " and ", " of ", " that ",
    "with ", "(", ")", "Jan. ", " 12. ", "May", "the", "Word", "lower", "UPPER", "Smith A. ", "1,000.50", "12:30",
    "a-b", "5'-", "s'", "http://x.org", "。", "！", "｡", "\u0301", "\u2028", "\u0092", "…",
]  # fmt: skip


def cases(count: int = 1_500, seed: int = 0) -> list[list[object]]:
    """Text, tokens, and where each begins in the text as it was given."""
    chance = random.Random(seed)
    made = ["".join(chance.choices(_PIECES, k=chance.choice([2, 4, 8, 16, 30]))) for _ in range(count)]
    given = [*FIXED, *texts.TEXTS, texts.LONG, *made]
    found = (case(text) for text in dict.fromkeys(filter(is_known, given)))
    return [one for one in found if one is not None]


def is_known(text: str) -> bool:
    """Whether Python knows all of its characters: which new ones are letters depends on the Unicode of who asks."""
    return not any(unicodedata.category(character) == "Cn" for character in text)


def case(text: str) -> list[object] | None:
    """None where flair fails: a token that it can't find in its text, since a line break was taken out of it."""
    try:
        sentence = Sentence(text)
    except ValueError:
        return None
    kept = [at for at, character in enumerate(text) if Sentence._handle_problem_characters(character)]
    starts = [kept[token.start_position] for token in sentence]
    if any(start < kept[before.end_position - 1] for start, before in zip(starts[1:], sentence, strict=False)):
        return None
    return [text, [token.text for token in sentence], starts]
