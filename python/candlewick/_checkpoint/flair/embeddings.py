"""What a tagger reads a sentence by: word vectors, and language models over characters."""

from __future__ import annotations

from typing import Any, NamedTuple

from candlewick._checkpoint.flair.arrays import with_zero_row
from candlewick._checkpoint.flair.attributes import Attributes, by_index
from candlewick._checkpoint.flair.weights import Weights
from candlewick._checkpoint.objects import Tensor, shown
from candlewick._checkpoint.safetensors_file import Source
from candlewick.errors import ModelFormatError, unsupported

_STACK, _WORDS, _CHARACTERS = "StackedEmbeddings", "WordEmbeddings", "FlairEmbeddings"


class Embedding(NamedTuple):
    """One of the embeddings that are concatenated."""

    config: dict[str, Any]
    #: Numbers that it gives for each token.
    width: int
    tensors: dict[str, Source]
    #: The vocabulary, by row, of word vectors.
    words: list[str] | None = None


def read(value: Any, weights: Weights) -> list[Embedding]:
    """The embeddings in the order in which flair concatenates them: that of their names."""
    outer = Attributes(value, "embeddings")
    inner = [outer] if outer.class_name != _STACK else _stacked(outer)
    prefix = ["embeddings."] if outer.class_name != _STACK else [f"embeddings.list_embedding_{at}." for at in range(99)]
    names = [one.get("name", str, "") for one in inner]
    if len(set(names)) != len(names):
        raise ModelFormatError(f"embeddings: expected different names, got {shown(', '.join(names))}")
    order = sorted(range(len(inner)), key=names.__getitem__)
    return [_one(inner[at], weights.under(prefix[at])) for at in order]


def _stacked(outer: Attributes) -> list[Attributes]:
    """The members of a stack: a list in dictionaries, numbered modules in objects."""
    if "_modules" not in outer:
        found = outer.get("embeddings", list)
        members = [Attributes(one, f"embeddings[{at}]") for at, one in enumerate(found)]
    else:
        modules = outer.inner("_modules")
        members = [modules.inner(f"list_embedding_{at}") for at in range(len(modules.values))]
    if not 0 < len(members) < 99:
        raise ModelFormatError(f"embeddings: expected some, got {len(members)}")
    return members


def _one(embedding: Attributes, weights: Weights) -> Embedding:
    if embedding.class_name == _WORDS:
        return _words(embedding, weights)
    if embedding.class_name == _CHARACTERS:
        return _characters(embedding, weights)
    got = shown(str(embedding.class_name))
    raise unsupported(f"embeddings of class {got}; supported: {_WORDS}, {_CHARACTERS}, {_STACK} of them")


def _words(embedding: Attributes, weights: Weights) -> Embedding:
    for key in ("field", "stable"):
        if embedding.values.get(key):
            raise unsupported(f"{_WORDS} with {key}; supported: without")
    name = f"{embedding.name}.vocab"
    if "precomputed_word_embeddings" in embedding:
        vectors = embedding.inner("precomputed_word_embeddings")
        if "key_to_index" in vectors:  # gensim 4
            words = by_index(vectors.get("key_to_index", dict).items(), name)
        else:
            entries = vectors.get("vocab", dict).items()
            words = by_index(((word, Attributes(entry, name).get("index", int)) for word, entry in entries), name)
        source = with_zero_row(vectors.values.get("vectors"), weights.file.path, f"{vectors.name}.vectors")
    else:
        words = by_index(embedding.get("vocab", dict).items(), name)
        source = weights.take("embedding.weight") if weights.has("embedding.weight") else _module(embedding, weights)
    rows, width = source.tensor.shape if len(source.tensor.shape) == 2 else (0, 0)
    if rows != len(words) + 1:
        raise ModelFormatError(f"{name}: expected {len(words) + 1} rows for as many words and one, got {rows}")
    return Embedding({"kind": "words", "width": width}, width, {"weight": source}, words)


def _module(embedding: Attributes, weights: Weights) -> Source:
    """The matrix of a module that is no part of the state dict."""
    inside = embedding.inner("_modules") if "embedding" not in embedding else embedding
    parameters = inside.inner("embedding").inner("_parameters")
    return Source(parameters.get("weight", Tensor), weights.file)


def _characters(embedding: Attributes, weights: Weights) -> Embedding:
    described = "model_params" in embedding
    model = embedding.inner("model_params") if described else embedding.inner("_modules").inner("lm")
    recurrent = model.get("recurrent_type", str, "LSTM")
    if recurrent.upper() != "LSTM":
        raise unsupported(f"language model with recurrent_type {shown(recurrent)}; supported: LSTM")
    layers = model.get("nlayers", int)
    if layers != 1 or "nout" in model:
        raise unsupported(f"language model with nlayers {layers} and nout; supported: 1, without nout")
    characters, hidden = model.items("dictionary"), model.get("hidden_size", int)
    width = model.get("embedding_size", int)
    own = weights.under("lm.")
    tensors = {"encoder.weight": own.take("encoder.weight", len(characters), width)}
    tensors |= own.lstm("rnn.", "l0", width, hidden)
    own.drop("decoder.")
    config = {
        "kind": "characters",
        "width": hidden,
        "character_width": width,
        "forward": model.get("is_forward_lm", bool),
        "delimiter": model.get("document_delimiter", str, "\n"),
        "lower": embedding.get("is_lower", bool, False),
        "tokenized": embedding.get("tokenized_lm", bool, True),
        "with_whitespace": embedding.get("with_whitespace", bool, True),
        "characters": characters,
    }
    return Embedding(config, hidden, tensors)
