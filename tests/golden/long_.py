"""A text that fills a checkpoint's context: rows of its logits, and all of its entities as a digest."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import texts
import torch
import transformers
from checkpoints import Checkpoint

#: Every so many rows of logits and entities are kept: a prime, so that no window or block always ends at one.
STEP = 61
#: Smallest distance between the two best labels of any token, so that the digest can't flip with the noise of f32.
MARGIN = 2e-5
#: What every mistake in `mistakes` has to move a row that is kept by.
VISIBLE = 1e-3


def reference(row: Checkpoint, folder: Path) -> dict[str, Any] | None:
    """What transformers answers; None when these weights make a golden that could not fail or that noise flips."""
    pipe = transformers.pipeline("token-classification", model=str(folder), dtype=torch.float32, device="cpu")
    limit = pipe.tokenizer.model_max_length
    text = filling(pipe.tokenizer, limit)
    encoded = pipe.tokenizer(text, return_offsets_mapping=True)
    ids = torch.tensor([encoded["input_ids"]])
    assert ids.shape[1] == limit
    with torch.no_grad():
        logits = pipe.model(ids).logits[0]
    winners = Counter(logits.argmax(-1).tolist())
    top = torch.softmax(logits, -1).topk(2, dim=-1).values
    if max(winners.values()) > 0.6 * limit or float((top[:, 0] - top[:, 1]).min()) < MARGIN:
        return None
    rows = [*range(0, limit, STEP), limit - 1]
    for name, mistaken in mistakes(pipe.model, ids):
        moved = float((mistaken - logits)[rows].abs().max())
        print(f"{row.name}: {name} moves a logit by {moved:.4f}")
        assert moved > VISIBLE, name
    entities = pipe(text, aggregation_strategy="simple")
    kept = list(enumerate(entities))[::STEP]
    return {
        "model": row.name,
        "transformers": transformers.__version__,
        "text": text,
        "tokens": limit,
        "encoding": digest([pipe.tokenizer.convert_ids_to_tokens(ids[0].tolist()), encoded["offset_mapping"]]),
        "rows": rows,
        "logits": [[float(f"{value:.9g}") for value in logits[at].tolist()] for at in rows],
        "groups": dict(sorted(Counter(entity["entity_group"] for entity in entities).items())),
        "spans": digest([[entity[key] for key in ("entity_group", "word", "start", "end")] for entity in entities]),
        "entities": [[at, {**entity, "score": float(entity["score"])}] for at, entity in kept],
    }


def filling(tokenizer: Any, limit: int) -> str:
    """Words in disorder that are `limit` tokens with the special ones."""
    chosen = random.Random(0)
    lengths = {word: len(tokenizer.tokenize(f" {word}")) for text in texts.TEXTS for word in text.split()}
    words = sorted(lengths)
    found, room = ["x"], limit - len(tokenizer("x")["input_ids"])
    while room:
        word = chosen.choice(words)
        if lengths[word] <= room and not set("[<") & set(word):
            found.append(word)
            room -= lengths[word]
    return " ".join(found)


def mistakes(model: Any, ids: Any) -> Any:
    """Logits of the network with a mistake that only a long text shows, each with its name."""
    length = ids.shape[1]
    places = torch.arange(length)[None]
    for name, positions in [
        ("a last place that is counted twice", places.clamp(max=length - 2)),
        ("places that begin again in the middle", places % (length // 2)),
        ("places in bfloat16", places.to(torch.bfloat16).float()),
    ]:
        with torch.no_grad():
            yield name, model(ids, position_ids=positions).logits[0]
    for key, value in [("local_attention", -2), ("local_attention", 2), ("global_rope_theta", 1_600.0)]:
        config = type(model.config)(**{**model.config.to_dict(), key: getattr(model.config, key) + value})
        other = type(model)(config).eval()
        other.load_state_dict(model.state_dict())
        with torch.no_grad():
            yield f"{key} {getattr(config, key)}", other(ids).logits[0]


def digest(value: Any) -> str:
    """The SHA-256 of JSON without white space."""
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()
