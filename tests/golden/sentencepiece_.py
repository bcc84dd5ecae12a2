"""Sentencepiece models for the goldens, trained on texts of our own by sentencepiece itself.

Training has no random part here: one thread, no sampling.
"""

from __future__ import annotations

import io
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sentencepiece
import texts

#: A normalization of our own, a hundredth of the size of NFKC's: code points, and what they become.
RULES = [
    ("fi", "\ufb01"),
    ("fl", "\ufb02"),
    ("1⁄2", "½"),
    ("1", "①"),
    ("TM", "™"),
    ("...", "…"),
    ("é", "e\u0301"),
    ("Å", "A\u030a"),
    ("", "\u200b"),
    ("", "\u00ad"),
    (" ", "\u00a0"),
    (" ", "\u3000"),
    (" ", "\n"),
    (" ", "\r"),
    (" ", "\t"),
    *((chr(code - 0xFEE0), chr(code)) for code in range(0xFF21, 0xFF5B)),
]
TEXTS = [*texts.TEXTS[:20], texts.LONG, *(text for pair in texts.PAIRS for text in pair)]
WORDS = sorted({word for text in TEXTS for word in text.replace("\0", "").split()})
#: The texts, and their words in other orders: few sentences would leave hardly a piece of more than one letter.
CORPUS = [*TEXTS, *(" ".join(WORDS[at * step % len(WORDS)] for at in range(len(WORDS))) for step in range(1, 9))]


@dataclass
class SentencePiece:
    """How one model is trained; it stands in for a tokenizer in the table of checkpoints."""

    file: str
    tokens: int  # in the whole vocabulary, added tokens included
    special: dict[str, Any] = field(default_factory=dict)
    nfkc: bool = False
    added: dict[str, int] | None = None  # added_tokens.json

    def get_vocab_size(self) -> int:
        """Rows of the embedding table."""
        return self.tokens

    def save(self, folder: Path) -> None:
        """Train and write the file, and `added_tokens.json` if there is one."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / self.file).write_bytes(self.train())
        if self.added is not None:
            (folder / "added_tokens.json").write_text(json.dumps(self.added, indent=1) + "\n", encoding="utf-8")

    def train(self) -> bytes:
        """The serialized model."""
        model = io.BytesIO()
        with tempfile.TemporaryDirectory() as scratch:
            rules = Path(scratch) / "rules.tsv"
            codes = (("".join(f"{ord(c):X} " for c in part).strip() for part in (old, new)) for new, old in RULES)
            rules.write_text("".join(f"{old}\t{new}\n" for old, new in codes), encoding="utf-8")
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(text.replace("\0", "") for text in CORPUS if text.strip()),
                model_writer=model,
                **({"normalization_rule_name": "nmt_nfkc"} if self.nfkc else {"normalization_rule_tsv": str(rules)}),
                **{"model_type": "unigram", "vocab_size": 420, "character_coverage": 0.98, **self.special},
                num_threads=1,
                hard_vocab_limit=False,
                minloglevel=2,
            )
        return without_paths(model.getvalue())


def without_paths(model: bytes) -> bytes:
    """A model that does not say in which folder its rules lay."""
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    proto.normalizer_spec.normalization_rule_tsv = ""
    return bytes(proto.SerializeToString(deterministic=True))


def fairseq(before: int, nfkc: bool = False) -> SentencePiece:
    """As XLM-R and CamemBERT have it; fairseq adds as many tokens of its own."""
    return _sized(SentencePiece("sentencepiece.bpe.model", before, nfkc=nfkc))


def deberta(added: list[str] | None = None, more: int = 1) -> SentencePiece:
    """As DeBERTa-v2 and v3 have it: all special tokens but the mask are pieces."""
    special = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
    pieces = {"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}
    model = _sized(SentencePiece("spm.model", more, {**special, **pieces}))
    if added is not None:
        model.added = {token: model.tokens - more + index for index, token in enumerate(added)}
    return model


def albert() -> SentencePiece:
    """As ALBERT has it: control symbols, and pieces that are never split."""
    special = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]}
    return _sized(SentencePiece("spiece.model", 0, {**special, "user_defined_symbols": ["(", ")", '"', "-", "£"]}))


def _sized(model: SentencePiece) -> SentencePiece:
    model.tokens += len(sentencepiece.SentencePieceProcessor(model_proto=model.train()))
    return model
