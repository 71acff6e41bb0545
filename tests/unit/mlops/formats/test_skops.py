"""Model files are canonical, load only what is allowed, and never unpickle."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest

from tests.unit.mlops import toys
from twofold.errors import Corrupt, Denied, Unsupported
from twofold.mlops import formats
from twofold.mlops.formats import skops as skops_format


def test_equal_models_give_equal_bytes_and_others_do_not(toy_bytes: bytes) -> None:
    assert toys.model_bytes() == toy_bytes
    assert toys.model_bytes(seed=1) != toy_bytes


def test_a_model_predicts_the_same_after_its_way_through_bytes(toy_bytes: bytes) -> None:
    inputs = toys.points()[:, :2]
    loaded = formats.load("skops", toy_bytes)
    assert loaded.predict(inputs).tolist() == toys.fit().predict_proba(inputs)[:, 1:].tolist()


@pytest.mark.parametrize(
    "kind", ["GradientBoostingClassifier", "RandomForestRegressor", "HistGradientBoostingRegressor"]
)
def test_trees_load_and_predict(kind: str) -> None:
    from sklearn import ensemble  # noqa: PLC0415 - heavy

    rows = toys.points()
    small = {"max_iter": 3} if "Hist" in kind else {"n_estimators": 3}
    model = getattr(ensemble, kind)(random_state=0, **small).fit(rows[:, :2], rows[:, 2])
    name, data = formats.dump(model)
    assert name == "skops"
    outputs = formats.load(name, data).predict(rows[:, :2])
    assert outputs.shape == (200, 1)
    assert np.isfinite(outputs).all()


def test_many_classes_give_one_output_each() -> None:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - heavy

    inputs = toys.points()[:, :2]
    model = LogisticRegression().fit(inputs, np.arange(200) % 3)
    assert formats.load(*formats.dump(model)).predict(inputs).shape == (200, 3)


def test_text_inputs_reach_the_model_as_objects() -> None:
    from sklearn.compose import make_column_transformer  # noqa: PLC0415 - heavy
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415 - heavy
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - heavy
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415 - heavy

    columns = np.array([[1.0, "red"], [2.0, "blue"], [3.0, "red"]], dtype=object)
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), [1]), remainder="passthrough")
    model = make_pipeline(encode, LinearRegression()).fit(columns, [1.0, 5.0, 3.0])
    outputs = formats.load(*formats.dump(model)).predict(columns)
    assert outputs[:, 0].tolist() == pytest.approx([1.0, 5.0, 3.0])


def _edit(data: bytes, change: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "schema.json":
                schema = json.loads(content)
                change(schema)
                content = json.dumps(schema).encode()
            new.writestr(name, content)
    return out.getvalue()


def test_a_type_off_the_allow_list_is_denied_and_not_imported(toy_bytes: bytes) -> None:
    def evil(schema: dict[str, Any]) -> None:
        schema.update({"__class__": "Popen", "__module__": "subprocess"})

    with pytest.raises(Denied, match=r"subprocess\.Popen"):
        formats.load("skops", _edit(toy_bytes, evil))


def test_an_older_protocol_is_denied(toy_bytes: bytes) -> None:
    with pytest.raises(Denied, match="protocol 0"):
        formats.load("skops", _edit(toy_bytes, lambda schema: schema.update(protocol=0)))


@pytest.mark.parametrize("cut", [0, 1, 40, -30])
def test_torn_bytes_are_corrupt(toy_bytes: bytes, cut: int) -> None:
    with pytest.raises(Corrupt):
        formats.load("skops", toy_bytes[:cut])


def test_missing_parts_are_corrupt(toy_bytes: bytes) -> None:
    with pytest.raises(Corrupt):
        formats.load("skops", _edit(toy_bytes, lambda schema: schema.pop("__class__")))
    with pytest.raises(Corrupt):
        formats.load("skops", _edit(toy_bytes, lambda schema: schema.update(__loader__="Nowhere")))


def test_a_file_that_unpacks_too_large_is_denied(toy_bytes: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skops_format, "MAX_BYTES", 100)
    with pytest.raises(Denied, match="limit 100"):
        formats.load("skops", toy_bytes)


def test_a_tree_whose_child_lies_outside_is_denied() -> None:
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415 - heavy

    rows = toys.points()
    data = formats.dump(DecisionTreeClassifier(max_depth=2).fit(rows[:, :2], rows[:, 2]))[1]
    out = io.BytesIO()
    changed = False
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(".npy"):
                nodes = np.load(io.BytesIO(content), allow_pickle=False)
                if nodes.dtype.names and "left_child" in nodes.dtype.names:
                    nodes["left_child"][0] = 10_000_000
                    buffer = io.BytesIO()
                    np.save(buffer, nodes, allow_pickle=False)
                    content, changed = buffer.getvalue(), True
            new.writestr(name, content)
    assert changed
    with pytest.raises(Denied, match="child outside"):
        formats.load("skops", out.getvalue())


def test_what_is_no_model_and_unknown_formats_are_unsupported() -> None:
    with pytest.raises(Unsupported, match="dict"):
        formats.dump({})
    with pytest.raises(Unsupported, match="pickle"):
        formats.load("pickle", b"")


def test_a_model_with_foreign_parts_is_refused_when_dumped() -> None:
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - heavy
    from sklearn.preprocessing import FunctionTransformer  # noqa: PLC0415 - heavy

    with pytest.raises(Unsupported, match="points"):
        formats.dump(make_pipeline(FunctionTransformer(toys.points), toys.fit()))
