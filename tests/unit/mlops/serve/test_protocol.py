"""Documents of the Open Inference Protocol: what fits is read, what does not is refused with its reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.mlops import toys
from twofold.errors import DecodeError, InputError, TooLarge
from twofold.mlops.serve import protocol
from twofold.mlops.serve.protocol import Columns
from twofold.records.model import Field, ModelKind, ModelVersion

WORD = Field(name="word", datatype="BYTES")
COUNT = Field(name="count", datatype="INT64")
VERSION = ModelVersion(
    id="toy@1",
    model="toy",
    version="1",
    kind=ModelKind.SERVED,
    format="skops",
    artifact="",
    artifact_sha256="",
    created=toys.START,
    inputs=toys.INPUTS,
    outputs=(*toys.OUTPUTS, COUNT),
)


def tensor(name: str, data: Any, datatype: str = "FP64", shape: Any = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)] if shape is None else shape, "data": data}


def columns(tensors: list[Any], fields: tuple[Field, ...] = toys.INPUTS) -> Columns:
    return protocol.columns(protocol.parse(orjson.dumps({"inputs": tensors})), fields)


def test_inputs_stand_in_declared_order_whatever_the_order_of_the_request() -> None:
    found = columns([tensor("b", [3.0, 4.0]), tensor("a", [1.0, 2.0])])
    assert found.matrix.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert found.matrix.dtype == np.float64
    assert found.numbers is found.matrix


def test_any_numeric_datatype_and_shape_of_one_column_will_do() -> None:
    found = columns([tensor("a", [1, 2], "INT32"), tensor("b", [[0.5], [1.5]], shape=[2, 1])])
    assert found.matrix.tolist() == [[1.0, 0.5], [2.0, 1.5]]
    assert columns([tensor("a", [True], "BOOL"), tensor("b", [2])]).matrix.tolist() == [[1.0, 2.0]]


def test_text_and_numbers_mix_as_declared_and_part_for_the_log() -> None:
    found = columns([tensor("word", ["x", "y"], "BYTES"), tensor("a", [1.0, 2.0])], (WORD, toys.INPUTS[0]))
    assert found.matrix.tolist() == [["x", 1.0], ["y", 2.0]]
    assert found.numbers.tolist() == [[1.0], [2.0]]
    assert list(found.texts) == [("x",), ("y",)]
    only = columns([tensor("word", ["x"], "BYTES")], (WORD,))
    assert only.numbers.shape == (1, 0)


A, B = tensor("a", [1.0]), tensor("b", [2.0])


@pytest.mark.parametrize(
    ("tensors", "reason", "named"),
    [
        ([A], "missing_input", "'b'"),
        ([A, B, tensor("c", [1.0])], "unknown_input", "c"),
        ([A, tensor("b", [1.0, 2.0])], "shape", "a 1, b 2"),
        ([A, tensor("b", [1.0], shape=[2])], "shape", "'b'"),
        ([A, tensor("b", [[1.0, 2.0]], shape=[1, 2])], "shape", "'b'"),
        ([A, tensor("b", [1.0], shape=1)], "shape", "'b'"),
        ([A, tensor("b", ["1.0"])], "datatype", "'b'"),
        ([A, tensor("b", [None])], "datatype", "'b'"),
        ([A, tensor("b", [{}])], "datatype", "'b'"),
        ([A, tensor("b", [1.0, [2.0]], shape=[2])], "datatype", "'b'"),
        ([A, tensor("b", ["x"], "BYTES")], "datatype", "'b'"),
        ([A, {"name": "b", "datatype": "FP64", "shape": [1], "data": 1.0}], "document", "'b'"),
        ([A, {"name": "b"}], "document", "'b'"),
        ([A, B, B], "document", "name"),
        ([A, 7], "document", "name"),
        ([tensor("a", []), tensor("b", [])], "rows", "0 rows"),
        ([tensor("a", [1.0] * 10_001), tensor("b", [1.0] * 10_001)], "rows", "10001"),
    ],
)
def test_bad_inputs_are_refused_with_a_reason(tensors: list[Any], reason: str, named: str) -> None:
    with pytest.raises(InputError) as caught:
        columns(tensors)
    assert caught.value.reason == reason
    assert named in caught.value.message


def test_text_is_demanded_where_text_is_declared() -> None:
    for bad in (tensor("word", [1.0]), tensor("word", [1], "BYTES")):
        with pytest.raises(InputError, match="word"):
            columns([bad], (WORD,))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"inputs": 1}', b'{"inputs": [], "id": 7}', b'{"inputs": [], "outputs": [1]}']
)
def test_bodies_that_are_no_request_are_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        protocol.parse(body)


def test_a_number_past_the_range_is_not_taken() -> None:
    with pytest.raises((InputError, DecodeError)):
        protocol.columns(
            protocol.parse(
                b'{"inputs": [{"name": "a", "datatype": "FP64", "shape": [1], "data": [1e999]},'
                b'{"name": "b", "datatype": "FP64", "shape": [1], "data": [1]}]}'
            ),
            toys.INPUTS,
        )


def test_an_id_that_is_too_long_is_refused() -> None:
    assert protocol.parse(b'{"inputs": [], "id": "42"}').id == "42"
    with pytest.raises(InputError):
        protocol.parse(orjson.dumps({"inputs": [], "id": "x" * 257}))


def test_outputs_come_as_declared_and_only_those_asked_for() -> None:
    outputs = np.array([[0.5, 2.0], [0.25, 3.0]])
    whole = orjson.loads(protocol.answer(VERSION, "42", outputs, ()))
    assert whole["model_version"] == "1"
    assert whole["id"] == "42"
    assert whole["outputs"][0] == tensor("score", [0.5, 0.25])
    assert whole["outputs"][1]["data"] == [2, 3]
    assert isinstance(whole["outputs"][1]["data"][0], int)
    some = orjson.loads(protocol.answer(VERSION, "42", outputs, ("count",)))
    assert [one["name"] for one in some["outputs"]] == ["count"]
    with pytest.raises(InputError, match="fame"):
        protocol.answer(VERSION, "42", outputs, ("fame",))


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.integers(-9, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "data", "shape", "a"]), inner),
    max_leaves=8,
)


@given(st.fixed_dictionaries({"inputs": st.lists(_JSON, max_size=3)}), _JSON, _JSON)
def test_whatever_json_comes_the_only_error_is_an_input_error(document: Any, data: Any, shape: Any) -> None:
    filled = {"inputs": [*document["inputs"], {"name": "a", "datatype": "FP64", "shape": shape, "data": data}, B]}
    for candidate in (document, filled):
        try:
            found = protocol.columns(protocol.parse(orjson.dumps(candidate)), toys.INPUTS)
        except (InputError, TooLarge):
            continue
        assert found.matrix.shape[1] == 2
        assert np.isfinite(found.matrix).all()
