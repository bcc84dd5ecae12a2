"""int8: as good as float32 on real weights, judged before it is used, and refused where it is not."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pytest
from safetensors_file import read, write

import candlewick
from candlewick.errors import ParameterError

#: Points of F1 or accuracy that int8 may cost on the demo models.
COST = 0.003
MODELS = Path(__file__).parent / "golden" / "models"


def loaded(*arguments: Any, **options: Any) -> tuple[Any, list[str]]:
    """A pipeline, and what it warned of while it was loaded."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pipe = candlewick.pipeline(*arguments, **options)
    assert all(issubclass(warning.category, candlewick.QualityWarning) for warning in caught)
    return pipe, [str(warning.message) for warning in caught]


@pytest.fixture
def uneven(copy: Callable[[str], Path]) -> Path:
    """A model in whose last layer a norm makes one number of every row a hundred times larger than the others."""
    folder = copy("bert-ner")
    tensors = read(folder / "model.safetensors")
    tensors["bert.encoder.layer.1.attention.output.LayerNorm.bias"][3] = 100.0
    write(folder / "model.safetensors", tensors)
    return folder


@pytest.mark.parametrize("dtype", ["int8", "auto", "bfloat16"])
def test_demo_models_stay_as_good(ner: Any, sentiment: Any, dtype: str) -> None:
    for name in ("handwritten", "late"):
        rows = evaluate.sentences("ner", name)
        texts = [row["text"] for row in rows]
        narrow = candlewick.pipeline("ner", aggregation_strategy="simple", dtype=dtype)
        exact, got = (
            evaluate.span_scores(rows, [evaluate.spans(answer) for answer in pipe(texts)])["all"][2]
            for pipe in (ner, narrow)
        )
        assert got >= exact - COST
        rows = evaluate.sentences("sentiment", name)
        texts = [row["text"] for row in rows]
        narrow = candlewick.pipeline("sentiment-analysis", dtype=dtype)
        exact, got = (
            evaluate.accuracy(rows, [answer["label"] for answer in pipe(texts)])["all"] for pipe in (sentiment, narrow)
        )
        assert got >= exact - COST


@pytest.mark.parametrize("task", ["ner", "sentiment-analysis"])
def test_demo_models_pass_the_gate(task: str) -> None:
    for dtype in ("int8", "auto"):
        pipe, warned = loaded(task, dtype=dtype)
        assert not warned
        found = pipe.info["quality"]
        assert pipe.info["dtype"] == "int8"
        assert found["passes"] and found["layers_kept"] == [] and found["layers"] >= 12
        assert found["flips"] <= 0.01 * found["labels"] and 0 < found["worst_difference"] < 0.1
    assert candlewick.pipeline(task, dtype="int8", quality="strict").info["dtype"] == "int8"


def test_float32_is_not_judged(ner: Any) -> None:
    assert ner.info["quality"] is None
    pipe, warned = loaded("ner", dtype="int8", quality="skip")
    assert pipe.info["quality"] is None and not warned


def test_layers_with_outliers_stay_out(uneven: Path) -> None:
    pipe, _ = loaded("ner", uneven, dtype="int8")
    kept = pipe.info["quality"]["layers_kept"]
    assert "bert.encoder.layer.1.intermediate.dense" in kept
    assert len(kept) < pipe.info["quality"]["layers"]
    everywhere, _ = loaded("ner", uneven, dtype="int8", quality="skip")
    exact = candlewick.pipeline("ner", uneven)
    text = "Sarah lives in London and works for Google."
    far = [np.abs(other.logits(text).values - exact.logits(text).values).max() for other in (pipe, everywhere)]
    assert far[0] < far[1] / 2


def test_layers_of_a_tagger_are_judged_one_by_one(tmp_path: Path) -> None:
    folder = tmp_path / "tagger"
    shutil.copytree(Path(__file__).parent / "golden" / "flair" / "ner" / "model", folder)
    even, _ = loaded("ner", folder, dtype="int8")
    # Two language models, and the dense layer before the recurrent one, which is one with its inputs; two directions.
    assert even.info["quality"]["layers"] == 5
    tensors = read(folder / "model.safetensors")
    weight, bias = (tensors[f"embeddings.2.rnn.{name}_l0"] for name in ("weight_hh", "bias_ih"))
    unit, units = 3, weight.shape[1]
    # A state that never changes, with large weights; biases that take away what they add.
    weight[[unit, units + unit, 2 * units + unit, 3 * units + unit]] = 0.0
    bias[[unit, units + unit, 2 * units + unit, 3 * units + unit]] = [30.0, -30.0, 30.0, 30.0]
    bias -= 20.0 * np.tanh(1.0) * (weight[:, unit] != 0.0)
    weight[:, unit] = 20.0 * (weight[:, unit] != 0.0)
    write(folder / "model.safetensors", tensors)
    pipe, _ = loaded("ner", folder, dtype="int8")
    kept = pipe.info["quality"]["layers_kept"]
    assert "embeddings.2.rnn" in kept and "embeddings.1.rnn" not in kept


def test_what_misses_the_gate_warns_or_is_refused() -> None:
    folder = MODELS / "bert-ner-vocab"  # of random weights: many labels are nearly as likely as the best one
    pipe, (warned,) = loaded("ner", folder, dtype="int8")
    found = pipe.info["quality"]
    assert not found["passes"] and found["flips"] > 0.01 * found["labels"]
    assert warned.startswith(f"int8 changes {found['flips']} of {found['labels']} labels")
    with pytest.raises(ParameterError, match=r"dtype: expected float32, bfloat16 or auto .* got int8, which changes"):
        candlewick.pipeline("ner", folder, dtype="int8", quality="strict")
    auto, warned_auto = loaded("ner", folder, dtype="auto")
    assert auto.info["dtype"] in ("bfloat16", "float32") and not warned_auto
    assert not auto.info["quality"]["passes"]
    skipped, none = loaded("ner", folder, dtype="int8", quality="skip")
    assert not none and skipped.info["dtype"] == "int8"


def test_calibration_is_what_it_is_judged_on() -> None:
    pipe, _ = loaded("ner", dtype="int8", calibration=["Ada lives in London."])
    assert pipe.info["quality"]["labels"] == len(pipe.logits("Ada lives in London.").tokens)
    pairs, _ = loaded("sentiment-analysis", dtype="int8", calibration=[("good", "bad"), ("a", "b")])
    assert pairs.info["quality"]["labels"] == 2
    long, _ = loaded("ner", dtype="int8", calibration=["Ada lives in London. " * 2_000])
    assert long.info["quality"]["labels"] == long.max_tokens


@pytest.mark.parametrize("calibration", [[], "text", [1], [("a", "b", "c")], {"a": 1}])
def test_calibration_is_a_list_of_texts(calibration: Any) -> None:
    with pytest.raises(ParameterError, match="calibration: expected a list of at least one text or pair"):
        candlewick.pipeline("ner", dtype="int8", calibration=calibration)


def test_decisions_are_the_same_every_time(uneven: Path) -> None:
    infos = [
        loaded("ner", uneven, dtype="int8", packed_cache=False, threads=threads)[0].info["quality"]
        for threads in (1, 2, 3)
    ]
    assert json.dumps(infos[0]) == json.dumps(infos[1]) == json.dumps(infos[2])
