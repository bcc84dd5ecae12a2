"""Train the two demo models from generated text: `python demo/train.py [ner|sentiment ...]`.

Writes config.json, model.safetensors (float16), tokenizer.json and tokenizer_config.json to
`python/candlewick/demo/<task>/`.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from corpus import SENTIMENTS, Corpus
from grammar import TYPES, Sample
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import BertConfig, BertForSequenceClassification, BertForTokenClassification

OUT = Path(__file__).parent.parent / "python" / "candlewick" / "demo"
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
NER_LABELS = ["O", *(f"{prefix}-{kind}" for kind in TYPES for prefix in "BI")]
MAX_POSITIONS = 256
EXTRA_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789’‘“”…–—€£$%&@#*+=/\\|~^°§½²"


@dataclass(frozen=True)
class Recipe:
    """Sizes and training lengths of one model."""

    task: str
    vocabulary: int
    layers: int
    samples: int
    epochs: int
    learning_rate: float
    hidden: int = 128
    batch_tokens: int = 3072
    smoothing: float = 0.05
    seed: int = 20


RECIPES = {
    "ner": Recipe("ner", vocabulary=9000, layers=4, samples=450_000, epochs=2, learning_rate=1.5e-3),
    "sentiment": Recipe("sentiment", vocabulary=7000, layers=3, samples=450_000, epochs=1, learning_rate=1.2e-3),
}


def generate(recipe: Recipe) -> list[tuple[Sample, int]]:
    """Texts with a class index (0 for NER, where the spans are the labels)."""
    corpus = Corpus(recipe.seed)
    texts: list[tuple[Sample, int]] = []
    for i in range(recipe.samples):
        if recipe.task == "ner":
            texts.append((corpus.ner(), 0))
        else:
            label = i % 3
            texts.append((corpus.sentiment(SENTIMENTS[label]), label))
    print(f"{len(texts)} texts, {corpus.dropped} dropped for overlap with the test sets", flush=True)
    return texts


def train_tokenizer(texts: list[str], size: int) -> Tokenizer:
    """A cased WordPiece vocabulary in which every character of the texts has both of its forms."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=None)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    counts: dict[str, int] = {}
    for text in texts:
        for char in text:
            counts[char] = counts.get(char, 0) + 1
    common = sorted(c for c, n in counts.items() if n > 20 and not c.isspace())
    alphabet = list(dict.fromkeys([*EXTRA_CHARACTERS, *common]))
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet) + 5,
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, *(f"{c}{c}" for c in alphabet for _ in range(50))], trainer)
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
    )
    return tokenizer


def span_labels(offsets: list[tuple[int, int]], spans: list[tuple[int, int, str]]) -> list[int]:
    """B- on the first piece of a span and I- on the others; -100 on special tokens."""
    labels = []
    for start, end in offsets:
        label = -100 if start == end else 0
        for a, b, kind in spans:
            if start < b and end > a and start != end:
                label = NER_LABELS.index(f"{'B' if start <= a else 'I'}-{kind}")
        labels.append(label)
    return labels


Example = tuple[list[int], list[int]]


def encode(tokenizer: Tokenizer, texts: list[tuple[Sample, int]], task: str) -> list[Example]:
    """Token ids and labels; one text in eight is cut into short pieces."""
    rng = random.Random(len(texts))
    vocabulary = tokenizer.get_vocab()
    encodings = tokenizer.encode_batch([sample.text for sample, _ in texts])
    examples = []
    for (sample, label), encoding in zip(texts, encodings, strict=True):
        ids, offsets = encoding.ids, encoding.offsets
        if rng.random() < 0.125:
            ids, offsets = short_pieces(tokenizer, vocabulary, sample.text, rng.randint(2, 5))
        labels = span_labels(offsets, sample.entities) if task == "ner" else [label]
        if len(ids) <= MAX_POSITIONS:
            examples.append((ids, labels))
    return examples


def short_pieces(
    tokenizer: Tokenizer, vocabulary: dict[str, int], text: str, limit: int
) -> tuple[list[int], list[tuple[int, int]]]:
    """Encode in pieces of at most `limit` characters, as rare words are, to learn continuation."""
    ids, offsets = [vocabulary["[CLS]"]], [(0, 0)]
    for word, (start, _) in tokenizer.pre_tokenizer.pre_tokenize_str(text):
        pos = 0
        while pos < len(word):
            prefix = "##" if pos else ""
            for size in range(min(limit, len(word) - pos), 0, -1):
                piece = prefix + word[pos : pos + size]
                if piece in vocabulary or size == 1:
                    break
            ids.append(vocabulary.get(piece, vocabulary["[UNK]"]))
            offsets.append((start + pos, start + pos + size))
            pos += size
    return [*ids, vocabulary["[SEP]"]], [*offsets, (0, 0)]


def batches(examples: list[Example], tokens: int, rng: random.Random) -> list[list[Example]]:
    """Batches of similar lengths with about `tokens` tokens each, in random order."""
    order = sorted(examples, key=lambda e: len(e[0]) + 4 * rng.random())
    made: list[list[Example]] = []
    batch: list[Example] = []
    for example in order:
        if batch and (len(batch) + 1) * len(example[0]) > tokens:
            made.append(batch)
            batch = []
        batch.append(example)
    made.append(batch)
    rng.shuffle(made)
    return made


def collate(batch: list[Example], task: str, rng: random.Random) -> dict[str, torch.Tensor]:
    """Pad a batch; some batches start at a random position, so that all positions are trained."""
    length = max(len(ids) for ids, _ in batch)
    ids = torch.zeros(len(batch), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (tokens, _) in enumerate(batch):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    shift = rng.randrange(MAX_POSITIONS - length + 1) if rng.random() < 0.4 else 0
    inputs = {
        "input_ids": ids,
        "attention_mask": mask,
        "position_ids": torch.arange(shift, shift + length)[None],
    }
    if task == "ner":
        labels = torch.full_like(ids, -100)
        for row, (_, values) in enumerate(batch):
            labels[row, : len(values)] = torch.tensor(values)
        return {**inputs, "labels": labels}
    return {**inputs, "labels": torch.tensor([values[0] for _, values in batch])}


def new_model(recipe: Recipe, vocabulary: int) -> Any:
    """A randomly initialised BERT with the right head."""
    labels = NER_LABELS if recipe.task == "ner" else list(SENTIMENTS)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=4,
        intermediate_size=4 * recipe.hidden,
        max_position_embeddings=MAX_POSITIONS,
        type_vocab_size=2,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        classifier_dropout=0.2,
        initializer_range=0.03,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    if recipe.task == "ner":
        return BertForTokenClassification(config)
    config.problem_type = "single_label_classification"
    return BertForSequenceClassification(config)


def fit(model: Any, examples: list[Example], recipe: Recipe, mask_id: int, after_epoch: Any) -> None:
    """AdamW with warm-up and cosine decay; some input tokens are masked at random."""
    rng = random.Random(recipe.seed)
    plan = [batch for _ in range(recipe.epochs) for batch in batches(examples, recipe.batch_tokens, rng)]
    decay = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decay, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))
    warmup = min(500, len(plan) // 10 + 1)

    def rate(step: int) -> float:
        if step < warmup:
            return step / warmup
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, len(plan) - warmup)))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    loss_function = torch.nn.CrossEntropyLoss(label_smoothing=recipe.smoothing)
    started, running = time.time(), 0.0
    model.train()
    for step, batch in enumerate(plan, 1):
        inputs = collate(batch, recipe.task, rng)
        labels = inputs.pop("labels")
        special = inputs["input_ids"] < len(SPECIAL_TOKENS)
        masked = (torch.rand(inputs["input_ids"].shape) < 0.04) & ~special
        inputs["input_ids"] = inputs["input_ids"].masked_fill(masked, mask_id)
        logits = model(**inputs).logits
        loss = loss_function(logits.view(-1, logits.shape[-1]), labels.view(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        running += loss.item()
        if step % 200 == 0:
            print(
                f"step {step}/{len(plan)} loss {running / 200:.4f} {time.time() - started:.0f} s",
                flush=True,
            )
            running = 0.0
        if step % 2000 == 0:
            after_epoch()
            model.train()


def save(model: Any, tokenizer: Tokenizer, task: str, folder: Path) -> None:
    """Write the checkpoint in half precision with its tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    model.half().save_pretrained(folder, safe_serialization=True)
    model.float()
    model.load_state_dict(state)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": False,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "model_max_length": MAX_POSITIONS,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def train(recipe: Recipe, out: Path) -> None:
    """Generate, tokenize, train and save one model."""
    torch.manual_seed(recipe.seed)
    torch.use_deterministic_algorithms(True)
    texts = generate(recipe)
    tokenizer = train_tokenizer([sample.text for sample, _ in texts], recipe.vocabulary)
    examples = encode(tokenizer, texts, recipe.task)
    print(f"{sum(len(ids) for ids, _ in examples) / len(examples):.1f} tokens per text", flush=True)
    model = new_model(recipe, tokenizer.get_vocab_size())
    print(f"{recipe.task}: {sum(p.numel() for p in model.parameters())} parameters", flush=True)
    folder = out / recipe.task

    def checkpoint() -> None:
        save(model, tokenizer, recipe.task, folder)

    fit(model, examples, recipe, tokenizer.token_to_id("[MASK]"), checkpoint)
    checkpoint()


def main() -> None:
    """Train the tasks named on the command line, or both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", metavar="task", help="ner, sentiment; default both")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for ner/ and sentiment/")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for task in args.tasks or RECIPES:
        train(RECIPES[task], args.out)


if __name__ == "__main__":
    main()
