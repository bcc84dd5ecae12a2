"""The tagger as a whole: settings are read, sizes checked against each other, tensors named."""

from __future__ import annotations

from typing import Any

from candlewick._checkpoint.flair import embeddings
from candlewick._checkpoint.flair.attributes import Attributes
from candlewick._checkpoint.flair.weights import Weights
from candlewick._checkpoint.objects import shown
from candlewick._checkpoint.safetensors_file import Source
from candlewick._checkpoint.torch_file import TorchFile
from candlewick.errors import ModelFormatError, unsupported

#: What the ends of a sentence are called among the tags of a conditional random field.
_ENDS = ("<START>", "<STOP>")


class Tagger:
    """What is written of a tagger."""

    def __init__(self, file: TorchFile) -> None:
        """Read all there is in a file.

        Raises:
            ModelFormatError: Its parts do not fit each other.
            UnsupportedModelError: It has embeddings or settings that are not supported.
        """
        state = Attributes(file.root, "tagger")
        if "tag_dictionary" not in state or "state_dict" not in state:
            raise unsupported("a pickle of flair that is no SequenceTagger; supported: SequenceTagger")
        self.tensors: dict[str, Source] = {}
        self.vocabularies: dict[str, list[str]] = {}
        self._weights = Weights(_renamed(state.get("state_dict", dict)), file)
        tags = state.items("tag_dictionary")
        self.config: dict[str, Any] = {
            "model_type": "flair",
            "architectures": ["FlairForTokenClassification"],
            "id2label": {str(at): tag for at, tag in enumerate(tags)},
            "tag_type": state.get("tag_type", str, ""),
        }
        width = self._embeddings(state.values.get("embeddings"))
        width = self._recurrent(state, self._reprojected(state, width))
        self._take("linear.weight", len(tags), width)
        self._take("linear.bias", len(tags))
        self._random_field(state, tags)
        self._weights.finish()

    def _take(self, name: str, *shape: int) -> None:
        self.tensors[name] = self._weights.take(name, *shape)

    def _embeddings(self, value: Any) -> int:
        found = embeddings.read(value, self._weights)
        self.config["embeddings"] = [one.config for one in found]
        for at, one in enumerate(found):
            self.tensors |= {f"embeddings.{at}.{name}": source for name, source in one.tensors.items()}
            if one.words is not None:
                one.config["vocabulary"] = f"words-{at}.json"
                self.vocabularies[f"words-{at}.json"] = one.words
        return sum(one.width for one in found)

    def _reprojected(self, state: Attributes, width: int) -> int:
        self.config["reproject_embeddings"] = state.get("reproject_embeddings", bool, True)
        if self.config["reproject_embeddings"]:
            self._take("embedding2nn.weight", width, width)
            self._take("embedding2nn.bias", width)
        return width

    def _recurrent(self, state: Attributes, width: int) -> int:
        kind = state.get("rnn_type", str, "LSTM")
        recurrent = state.get("use_rnn", bool)
        if recurrent and kind != "LSTM":
            raise unsupported(f"tagger with rnn_type {shown(kind)}; supported: LSTM")
        if recurrent and state.get("train_initial_hidden_state", bool, False):
            raise unsupported("tagger with train_initial_hidden_state; supported: without")
        layers, hidden = state.get("rnn_layers", int, 1), state.get("hidden_size", int)
        if not (0 < layers < 99 and hidden > 0):
            raise ModelFormatError(f"tagger: expected rnn_layers and hidden_size above 0, got {layers} and {hidden}")
        self.config |= {"rnn_layers": layers if recurrent else 0, "hidden_size": hidden}
        for layer in range(layers if recurrent else 0):
            for direction in ("", "_reverse"):
                self.tensors |= self._weights.lstm("rnn.", f"l{layer}{direction}", width, hidden)
            width = 2 * hidden
        return width

    def _random_field(self, state: Attributes, tags: list[str]) -> None:
        self.config["crf"] = state.get("use_crf", bool)
        if not self.config["crf"]:
            return
        for end in _ENDS:
            if end not in tags:
                raise ModelFormatError(f"tagger.tag_dictionary: expected {end} beside a CRF, got none")
        self._take("crf.transitions", len(tags), len(tags))


def _renamed(tensors: dict[Any, Any]) -> dict[Any, Any]:
    """By the names of today: the first releases had the transitions beside the other parts."""
    return {"crf.transitions" if name == "transitions" else name: tensor for name, tensor in tensors.items()}
