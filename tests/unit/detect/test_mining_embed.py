"""A model of meaning beside the words: it finds what shares no word, and says plainly when it cannot run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from twofold.aiops.detect.mining.embed import Floats, MeaningIndex, OnnxEncoder
from twofold.errors import ConfigError

TEXTS = {1: "session opened for user <*>", 2: "disk <*> is full", 3: "setLightsOn(<*>)", 4: "user <*> left"}
SENSES = (("session", "user", "human"), ("disk", "full", "harddrive"), ("light", "lamp"))


class Senses:
    """An encoder that knows three senses and counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def encode(self, texts: Sequence[str]) -> Floats:
        self.asked += len(texts)
        rows = np.array([[sum(word in text for word in sense) for sense in SENSES] for text in texts], np.float32)
        rows += 1e-3
        found: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return found


def test_what_shares_no_word_with_the_question_is_found_by_its_sense() -> None:
    index = MeaningIndex(TEXTS, Senses())
    assert index.search("lamp", 1)[0].id == 3
    assert index.search("harddrive", 1)[0].id == 2


def test_what_both_lists_put_first_comes_first() -> None:
    found = MeaningIndex(TEXTS, Senses()).search("disk full", 4)
    assert found[0].id == 2
    assert [one.nearness for one in found] == sorted((one.nearness for one in found), reverse=True)


def test_a_text_is_encoded_once_however_often_the_index_is_made_anew() -> None:
    encoder, vectors = Senses(), dict[str, Floats]()
    MeaningIndex(TEXTS, encoder, vectors=vectors)
    MeaningIndex({**TEXTS, 5: "fan ok"}, encoder, vectors=vectors)
    assert encoder.asked == 5


def test_an_empty_index_answers_nothing() -> None:
    assert MeaningIndex({}, Senses()).search("disk") == []


def test_a_folder_without_a_model_is_refused_with_what_it_must_hold(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must hold tokenizer\.json"):
        OnnxEncoder(tmp_path)


def test_damaged_files_or_a_missing_extra_are_told(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({}))
    (tmp_path / "model.onnx").write_bytes(b"no model")
    extra = find_spec("onnxruntime") and find_spec("tokenizers")
    with pytest.raises(ConfigError, match="cannot be read as a model" if extra else r"pip install 'twofold\[embed\]'"):
        OnnxEncoder(tmp_path)
