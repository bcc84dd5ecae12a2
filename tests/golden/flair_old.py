"""Writes a tagger of today's layout as older releases of flair did, run by `flair_.py` without flair being imported.

Arguments: the file to read, the file to write, generation, whether it is the container before torch 1.6, and attributes
by number of embedding. Pickles name classes by module, so classes of those names stand in for flair's and gensim's.
"""

from __future__ import annotations

import json
import sys
import types
from collections import OrderedDict
from typing import Any

import numpy as np
import torch


def classes(module: str, *names: str, base: type = object) -> list[Any]:
    """Classes without methods under the names of others."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:end]), types.ModuleType(".".join(parts[:end])))
    made = [type(name, (base,), {"__module__": module}) for name in names]
    for one in made:
        setattr(sys.modules[module], one.__name__, one)
    return made


(Dictionary,) = classes("flair.data", "Dictionary")
Stacked, Words, Flair = classes(
    "flair.embeddings.token", "StackedEmbeddings", "WordEmbeddings", "FlairEmbeddings", base=torch.nn.Module
)
(LanguageModel,) = classes("flair.models.language_model", "LanguageModel", base=torch.nn.Module)
KeyedVectors, Vocab = classes("gensim.models.keyedvectors", "Word2VecKeyedVectors", "Vocab")


def main() -> None:
    source, target, generation, stream, attributes = sys.argv[1:]
    state = torch.load(source, weights_only=False)
    if generation != "3":
        del state["__cls__"]
        of = {int(number): more for number, more in json.loads(attributes).items()}
        stack = Stacked()
        described = state["embeddings"]["embeddings"]
        stack.embeddings = [embedding(one, state, at, generation) for at, one in enumerate(described)]
        for at, one in enumerate(stack.embeddings):
            one.__dict__.update(of.get(at, {}))
            stack.add_module(f"list_embedding_{at}", one)
        stack.name, stack.static_embeddings = "Stack", True
        length = sum(one.__dict__[f"_{type(one).__name__}__embedding_length"] for one in stack.embeddings)
        stack.__dict__ |= {
            "_StackedEmbeddings__embedding_type": "word-level",
            "_StackedEmbeddings__embedding_length": length,
        }
        state["embeddings"] = stack
    if generation == "1":
        for key in ("tag_format", "rnn_type", "reproject_embeddings", "weight_dict", "train_initial_hidden_state"):
            if state.get(key) in ("BIOES", "LSTM", True, None, False):
                del state[key]
        if state["use_crf"]:
            state["state_dict"]["transitions"] = state["state_dict"].pop("crf.transitions")
    # The older container names the file of each class and has its source, which are torch's and this machine's.
    torch.serialization.get_source_lines_and_file = lambda one: (["source\n"], 1, "file.py")
    torch.save(state, target, pickle_protocol=4, _use_new_zipfile_serialization=stream == "0")


def embedding(described: dict[str, Any], state: dict[str, Any], at: int, generation: str) -> Any:
    """What a dictionary describes, as an object."""
    weights, prefix = state["state_dict"], f"embeddings.list_embedding_{at}."
    if described["__cls__"] == "WordEmbeddings":
        made = Words()
        matrix = weights[f"{prefix}embedding.weight"]
        made.__dict__ |= {"name": described["name"], "embeddings": "glove", "static_embeddings": True, "field": None}
        made.__dict__["_WordEmbeddings__embedding_length"] = matrix.shape[1]
        if generation == "1":
            del weights[f"{prefix}embedding.weight"]
            made.precomputed_word_embeddings = keyed_vectors(described["vocab"], matrix[:-1].numpy())
        else:
            made.vocab, made.device = described["vocab"], torch.device("cpu")
            made.embedding = torch.nn.Embedding.from_pretrained(matrix)
        return made
    model = language_model(described["model_params"], weights, f"{prefix}lm.", generation)
    made = Flair()
    made.name, made.static_embeddings, made.lm = described["name"], True, model
    made.is_forward_lm = described["model_params"]["is_forward_lm"]
    made.__dict__["_FlairEmbeddings__embedding_length"] = described["model_params"]["hidden_size"]
    if generation == "2":
        made.__dict__ |= {key: described[key] for key in ("is_lower", "tokenized_lm", "chars_per_chunk", "fine_tune")}
        made.with_whitespace, made.field = True, None
    return made


def keyed_vectors(vocab: dict[str, int], matrix: Any) -> Any:
    """What gensim 3 had."""
    made = KeyedVectors()
    made.vectors, made.vector_size, made.vectors_norm = np.array(matrix), matrix.shape[1], None
    made.index2word, made.vocab = sorted(vocab, key=vocab.__getitem__), {}
    for word, index in vocab.items():
        made.vocab[word] = Vocab()
        made.vocab[word].__dict__ |= {"index": index, "count": len(vocab) - index}
    return made


def language_model(params: dict[str, Any], weights: dict[str, Any], prefix: str, generation: str) -> Any:
    """A module as it is in the first generation, its arguments and weights as a state in the second."""
    own = OrderedDict(
        (name.removeprefix(prefix), tensor) for name, tensor in weights.items() if name.startswith(prefix)
    )
    if generation == "2":
        state = {"state_dict": own, **params, "recurrent_type": "LSTM"}
        LanguageModel.__getstate__ = lambda self: self.__dict__["serialized"]
        made = LanguageModel()
        made.__dict__["serialized"] = state
        return made
    made = LanguageModel()
    hidden, characters = params["hidden_size"], own["encoder.weight"].shape[0]
    made.drop = torch.nn.Dropout(params["dropout"])
    made.encoder = torch.nn.Embedding(characters, params["embedding_size"])
    made.rnn = torch.nn.LSTM(params["embedding_size"], hidden, params["nlayers"])
    made.decoder = torch.nn.Linear(hidden, characters)
    made.load_state_dict(own)
    for key in ("dictionary", "is_forward_lm", "hidden_size", "embedding_size", "nlayers", "nout", "dropout"):
        setattr(made, key, params[key])
    made.hidden, made.proj = None, None
    return made


if __name__ == "__main__":
    main()
