"""Tokenizers for the goldens: small, of every kind of file that transformers reads.

Vocabularies are counted here and not trained by the library, whose WordPiece trainer orders ties by hash.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

import texts
from sentencepiece_ import SentencePiece
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

CORPUS = [*texts.TEXTS[:20], texts.LONG * 2, *(text for pair in texts.PAIRS for text in pair)]
BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def _words(pre_tokenizer: pre_tokenizers.PreTokenizer, normalizer: normalizers.Normalizer | None) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in CORPUS:
        normal = normalizer.normalize_str(text) if normalizer else text
        counts.update(word for word, _ in pre_tokenizer.pre_tokenize_str(normal))
    return counts


def wordpiece_vocabulary(lower: bool) -> list[str]:
    """Characters, pieces of three and common words; a character of the corpus in five is left out."""
    normalizer = normalizers.BertNormalizer(lowercase=lower)
    counts = _words(pre_tokenizers.BertPreTokenizer(), normalizer)
    characters = sorted({character for word in counts for character in word})
    known = [c for index, c in enumerate(characters) if index % 5 or c.isascii()]
    pieces = sorted({word[at : at + 3] for word in counts if word.isascii() for at in range(1, len(word) - 2, 2)})
    words = sorted(word for word, count in counts.items() if len(word) > 1 and (count > 1 or len(word) % 2 == 0))
    return [*BERT_SPECIAL, *known, *words, *("##" + c for c in known), *("##" + piece for piece in pieces)]


def bert(lower: bool, file_lower: bool | None = None) -> Tokenizer:
    """WordPiece as `bert-base` has it; the file may say something else about case than the vocabulary."""
    vocabulary = {token: index for index, token in enumerate(wordpiece_vocabulary(lower))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower if file_lower is None else file_lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.add_special_tokens(BERT_SPECIAL)
    return tokenizer


def mpnet() -> Tokenizer:
    """BERT's pieces between RoBERTa's special tokens."""
    special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
    tokens = [*special, *wordpiece_vocabulary(True)[len(BERT_SPECIAL) :]]
    tokenizer = Tokenizer(models.WordPiece({token: index for index, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    tokenizer.add_special_tokens([*special[:4], AddedToken("<mask>", lstrip=True, special=True)])
    return tokenizer


def byte_level(prefix_space: bool = False, behind: str | None = None) -> Tokenizer:
    """Byte-level BPE as RoBERTa has it, perhaps with a token behind the end of a text."""
    merges = _merges()
    tokens = [*ROBERTA_SPECIAL[:4], *sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, merges), "<mask>"]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, continuing_subword_prefix="", end_of_word_suffix=""))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, prefix_space)
    tokenizer.add_special_tokens([*ROBERTA_SPECIAL[:4], AddedToken("<mask>", lstrip=True, special=True)])
    if behind is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"<s> $A </s> {behind}",
            pair=f"<s> $A </s> $B </s> {behind}",
            special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>", behind)],
        )
    return tokenizer


def modernbert() -> Tokenizer:
    """Byte-level BPE as ModernBERT has it: BERT's special tokens behind the vocabulary, and composed letters."""
    merges = _merges()
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, merges)]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    tokenizer.add_special_tokens([*special, AddedToken("[MASK]", lstrip=True, special=True)])
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ids
    )
    return tokenizer


def _merges() -> list[tuple[str, str]]:
    """Merges of bytes by count, ties by text."""
    pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words = [(list(word), count) for word, count in sorted(_words(pre_tokenizer, None).items())]
    merges: list[tuple[str, str]] = []
    for _ in range(400):
        pairs: Counter[tuple[str, str]] = Counter()
        for parts, count in words:
            for pair in itertools.pairwise(parts):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for parts, _ in words:
            at = 0
            while at < len(parts) - 1:
                if (parts[at], parts[at + 1]) == best:
                    parts[at : at + 2] = ["".join(best)]
                at += 1
    return merges


def unigram(special: list[str], split: bool = True) -> Tokenizer:
    """Unigram as XLM-R and CamemBERT have it."""
    pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer = Tokenizer(models.Unigram(_pieces(special), unk_id=special.index("<unk>"), byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("\u200b", "")])
    tokenizer.pre_tokenizer = (
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizer]) if split else pre_tokenizer
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    begin, end = special.index("<s>"), special.index("</s>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", begin), ("</s>", end)],
    )
    tokenizer.add_special_tokens([*(t for t in special if t != "<mask>"), AddedToken("<mask>", lstrip=True)])
    return tokenizer


def deberta() -> Tokenizer:
    """Unigram as DeBERTa-v2 and v3 have it: spaces are part of pieces, and several are one."""
    tokenizer = _unigram_between(["[PAD]", "[CLS]", "[SEP]", "[UNK]"], "[UNK]")
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Strip(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens(["[MASK]"])
    return tokenizer


def albert() -> Tokenizer:
    """Unigram as ALBERT has it: lower case, no accents."""
    tokenizer = _unigram_between(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], "<unk>")
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace("``", '"'),
            normalizers.Replace("''", '"'),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    return tokenizer


def _unigram_between(special: list[str], unknown: str) -> Tokenizer:
    """Unigram with BERT's template."""
    tokenizer = Tokenizer(models.Unigram(_pieces(special), unk_id=special.index(unknown), byte_fallback=False))
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, special.index(token)) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(special)
    return tokenizer


def _pieces(special: list[str]) -> list[tuple[str, float]]:
    """Special tokens, characters and common pieces of the corpus, scored by count and length."""
    pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    counts = _words(pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizer]), normalizers.NFKC())
    pieces: Counter[str] = Counter()
    for word, count in counts.items():
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + 6) + 1):
                pieces[word[start:end]] += count * (end - start)
    characters = sorted({c for word in counts for c in word if c.isascii() or ord(c) % 3})
    common = sorted(
        (piece for piece in pieces if len(piece) > 1 and piece not in special),
        key=lambda piece: (-pieces[piece], piece),
    )[:600]
    scored = [(piece, -10.0 + len(piece) / 4 + (pieces[piece] % 97) / 100) for piece in [*characters, *common]]
    return [*((token, 0.0) for token in special), *scored]


def save(tokenizer: Tokenizer | SentencePiece, folder: Path, files: str, config: dict[str, object] | None) -> None:
    """Write `tokenizer.json`, or the older files that say the same, and `tokenizer_config.json` unless it is None."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(tokenizer, SentencePiece):
        tokenizer.save(folder)
    else:
        _save(tokenizer, folder, files)
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _save(tokenizer: Tokenizer, folder: Path, files: str) -> None:
    parts = json.loads(tokenizer.to_str())["model"]
    if files == "tokenizer.json":
        tokenizer.save(str(folder / "tokenizer.json"))
    elif files == "vocab.txt":
        by_id = sorted(parts["vocab"], key=parts["vocab"].get)
        (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in by_id), encoding="utf-8")
    else:
        (folder / "vocab.json").write_text(json.dumps(parts["vocab"], ensure_ascii=False), encoding="utf-8")
        merges = "".join(f"{left} {right}\n" for left, right in parts["merges"])
        (folder / "merges.txt").write_text("#version: 0.2\n" + merges, encoding="utf-8")
