"""An extra beside `search`: nearness by a sentence embedding model that the user brings, joined with the one by words.

Nothing is downloaded: a folder on this machine holds `tokenizer.json` and the model as ONNX, as sentence-transformers
exports it. `pip install twofold[embed]` brings what runs it.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from twofold.aiops.detect.mining.search import Found, TemplateIndex, spoken
from twofold.errors import ConfigError

_MODELS: Final = ("model.onnx", "onnx/model.onnx", "model_quantized.onnx", "onnx/model_quantized.onnx")
_TOKENS: Final = 128
_BATCH: Final = 64
_RANK: Final = 3.0
"""Rank at which a place in one of the two lists counts half: reciprocal rank fusion, with shorter lists in view."""
_DEEP: Final = 100

Floats = npt.NDArray[np.float32]


class Encoder(Protocol):
    """Text to vectors of length 1."""

    def encode(self, texts: Sequence[str]) -> Floats:
        """One row a text."""
        ...


class OnnxEncoder:
    """A sentence embedding model as ONNX.

    Args:
        folder: Holds `tokenizer.json`, `model.onnx` (or `onnx/model.onnx`), and `1_Pooling/config.json` where vectors
            of words are not averaged.

    Raises:
        ConfigError: A file is missing or is no such model, or the extra is not installed.
    """

    def __init__(self, folder: Path) -> None:
        model = next((folder / name for name in _MODELS if (folder / name).is_file()), None)
        words = folder / "tokenizer.json"
        if model is None or not words.is_file():
            raise ConfigError(
                f"{folder} must hold tokenizer.json and one of {', '.join(_MODELS)}", setting="logs.model"
            )
        try:
            runtime = importlib.import_module("onnxruntime")
            tokenizers = importlib.import_module("tokenizers")
        except ImportError as error:
            raise ConfigError(
                f"logs.model needs {error.name}: pip install 'twofold[embed]'", setting="logs.model"
            ) from error
        try:
            self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(words))
            self._session: Any = runtime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        except Exception as error:  # both raise bare exceptions of their own
            raise ConfigError(f"{folder} cannot be read as a model: {error}", setting="logs.model") from error
        self._tokenizer.enable_truncation(_TOKENS)
        self._tokenizer.enable_padding()
        self._inputs = [each.name for each in self._session.get_inputs()]
        self._first = _first_word_only(folder)

    def encode(self, texts: Sequence[str]) -> Floats:
        """One row a text, of length 1."""
        parts = [self._batch(texts[at : at + _BATCH]) for at in range(0, len(texts), _BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)

    def _batch(self, texts: Sequence[str]) -> Floats:
        encoded = self._tokenizer.encode_batch(list(texts))
        mask = np.array([each.attention_mask for each in encoded], np.int64)
        given = {
            "input_ids": np.array([each.ids for each in encoded], np.int64),
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(mask),
        }
        found = np.asarray(self._session.run(None, {name: given[name] for name in self._inputs})[0], np.float32)
        if found.ndim > 2:  # noqa: PLR2004 - a vector a word, not yet one a text
            weights = mask[:, :, None].astype(np.float32)
            found = found[:, 0] if self._first else (found * weights).sum(axis=1) / weights.sum(axis=1)
        vectors: Floats = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
        return vectors


def _first_word_only(folder: Path) -> bool:
    path = folder / "1_Pooling" / "config.json"
    return path.is_file() and bool(json.loads(path.read_text()).get("pooling_mode_cls_token"))


class MeaningIndex:
    """Templates ranked by words and by a model of meaning: the sum of reciprocal ranks in both lists.

    Suits questions whose words neither templates nor thesaurus hold. Costs a pass of the model per new template, once,
    and one per question.

    Args:
        texts: Template text by id.
        encoder: The model.
        about: Further words by id, for the ranking by words.
        vectors: Vectors by text that are known already; new ones are added.

    Source: Cormack, Clarke, Buettcher (2009), "Reciprocal Rank Fusion outperforms Condorcet".
    """

    def __init__(
        self,
        texts: Mapping[int, str],
        encoder: Encoder,
        about: Mapping[int, str] | None = None,
        *,
        vectors: dict[str, Floats] | None = None,
    ) -> None:
        self._words = TemplateIndex(texts, about)
        self._encoder = encoder
        self._ids = list(texts)
        known = {} if vectors is None else vectors
        if missing := [text for text in dict.fromkeys(texts.values()) if text not in known]:
            known.update(zip(missing, encoder.encode([spoken(text) for text in missing]), strict=True))
        self._vectors = np.stack([known[text] for text in texts.values()]) if texts else np.zeros((0, 1), np.float32)

    def search(self, question: str, most: int = 5) -> list[Found]:
        """The nearest templates, best first."""
        if not self._ids:
            return []
        near = self._vectors @ self._encoder.encode([question])[0]
        ranks: dict[int, float] = {}
        for rank, number in enumerate(np.argsort(-near, kind="stable")[:_DEEP].tolist()):
            ranks[self._ids[number]] = _RANK / (_RANK + rank)
        for rank, found in enumerate(self._words.search(question, _DEEP)):
            ranks[found.id] = ranks.get(found.id, 0.0) + _RANK / (_RANK + rank)
        best = sorted(ranks.items(), key=lambda pair: -pair[1])[:most]
        return [Found(identity, nearness) for identity, nearness in best]
