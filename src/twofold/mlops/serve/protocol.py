"""Open Inference Protocol v2 documents: bytes to checked columns, outputs to bytes. Pure; the hot path of serving.

Source: https://github.com/kserve/open-inference-protocol, `specification/protocol/inference_rest.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from twofold.errors import DecodeError, InputError, TooLarge
from twofold.records.model import Field, ModelVersion

MAX_ROWS: Final = 10_000
MAX_ID: Final = 256
_NUMERIC: Final = "fiub"  # numpy kinds: float, signed, unsigned, bool


class Document(NamedTuple):
    """A request before it is known which version answers.

    Attributes:
        id: The caller's id, or empty.
        tensors: Request inputs by name.
        wanted: Output names asked for; empty means all.
    """

    id: str
    tensors: Mapping[str, Mapping[str, Any]]
    wanted: tuple[str, ...]


class Columns(NamedTuple):
    """Checked inputs of n rows.

    Attributes:
        matrix: Shape (n, k) in declared order; float64, or objects where text is among them.
        numbers: Shape (n, numeric inputs), for the prediction log.
        texts: Per row the text inputs; empty when there are none.
    """

    matrix: npt.NDArray[Any]
    numbers: npt.NDArray[np.float64]
    texts: Sequence[Sequence[str]]


def parse(body: bytes) -> Document:
    """The document in a request's body.

    Raises:
        DecodeError: Not JSON (`reason="json"`).
        InputError: Not an inference request (`reason="document"`).
    """
    try:
        loaded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"the body is not JSON: {error}", reason="json") from error
    if not isinstance(loaded, dict) or not isinstance(tensors := loaded.get("inputs"), list):
        raise InputError("the body must be an object with a list `inputs`", reason="document")
    request_id = loaded.get("id", "")
    if not isinstance(request_id, str) or len(request_id) > MAX_ID:
        raise InputError(f"`id` must be text of at most {MAX_ID} characters", reason="document")
    by_name = {tensor["name"]: tensor for tensor in tensors if isinstance(tensor, dict) and _named(tensor)}
    if len(by_name) != len(tensors):
        raise InputError("every entry of `inputs` needs a `name` of its own", reason="document")
    outputs = loaded.get("outputs", [])
    if not isinstance(outputs, list) or not all(isinstance(one, dict) and _named(one) for one in outputs):
        raise InputError("`outputs` must be a list of objects with a `name`", reason="document")
    return Document(request_id, by_name, tuple(one["name"] for one in outputs))


def columns(document: Document, fields: Sequence[Field]) -> Columns:
    """The inputs that a version declares, checked.

    A number may come in any numeric datatype. Each tensor is one column, of shape [n] or [n, 1].

    Raises:
        InputError: An input is missing, unknown, of another datatype or shape, or not finite.
        TooLarge: More than `MAX_ROWS` rows.
    """
    tensors = document.tensors
    found = [_column(field, tensors.get(field.name)) for field in fields]
    if len(tensors) != len(fields):
        names = [field.name for field in fields]
        unknown = sorted(set(tensors) - set(names))
        raise InputError(
            f"inputs {', '.join(unknown)} are unknown; the model takes {', '.join(names)}", reason="unknown_input"
        )
    count = len(found[0])
    if any(len(column) != count for column in found):
        lengths = ", ".join(f"{field.name} {len(column)}" for field, column in zip(fields, found, strict=True))
        raise InputError(f"inputs have different lengths: {lengths}", reason="shape")
    if not 0 < count <= MAX_ROWS:
        raise TooLarge(f"{count} rows, allowed are 1 to {MAX_ROWS}", reason="rows", rows=count, limit=MAX_ROWS)
    plain = [column for column in found if isinstance(column, np.ndarray)]
    numbers = np.array(plain, dtype=np.float64).T if plain else np.empty((count, 0))
    if not np.isfinite(numbers).all():
        raise InputError("inputs must be finite numbers", reason="not_finite")
    if len(plain) == len(found):
        return Columns(numbers, numbers, ())
    matrix = np.empty((count, len(found)), dtype=object)
    for index, column in enumerate(found):
        matrix[:, index] = column
    texts = [column for column in found if not isinstance(column, np.ndarray)]
    return Columns(matrix, numbers, list(zip(*texts, strict=True)))


def answer(version: ModelVersion, request_id: str, outputs: npt.NDArray[np.float64], wanted: tuple[str, ...]) -> bytes:
    """The response's body: one tensor of shape [n] per output.

    Raises:
        InputError: An output was asked for that the version does not have (`reason="unknown_output"`).
    """
    tensors = [
        {
            "name": field.name,
            "datatype": field.datatype,
            "shape": [len(outputs)],
            "data": _values(outputs[:, index], field),
        }
        for index, field in enumerate(version.outputs)
        if not wanted or field.name in wanted
    ]
    if wanted and len(tensors) != len(set(wanted)):
        names = ", ".join(field.name for field in version.outputs)
        raise InputError(
            f"outputs {', '.join(wanted)} were asked for; the model gives {names}", reason="unknown_output"
        )
    return orjson.dumps(
        {"model_name": version.model, "model_version": version.version, "id": request_id, "outputs": tensors}
    )


def metadata(version: ModelVersion, versions: Sequence[str]) -> bytes:
    """The model metadata document."""
    return orjson.dumps(
        {
            "name": version.model,
            "versions": list(versions),
            "platform": f"twofold-{version.format}",
            "inputs": [_tensor(field) for field in version.inputs],
            "outputs": [_tensor(field) for field in version.outputs],
            "properties": {"served_version": version.version, "owner": version.owner},
        }
    )


def _named(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("name"), str)


def _tensor(field: Field) -> dict[str, Any]:
    return {"name": field.name, "datatype": field.datatype, "shape": [-1]}


def _values(column: npt.NDArray[np.float64], field: Field) -> list[Any]:
    if field.datatype.startswith(("INT", "UINT")):
        return [round(value) for value in column.tolist()]
    return list(column.tolist())


def _column(field: Field, tensor: Mapping[str, Any] | None) -> npt.NDArray[Any] | list[str]:
    if tensor is None:
        raise InputError(f"input {field.name!r} is missing", reason="missing_input", input=field.name)
    data = _flat(field, tensor)
    text = field.datatype == "BYTES"
    if (tensor.get("datatype") == "BYTES") is not text:
        raise _bad(field, "datatype", f"is {field.datatype}, not {tensor.get('datatype')}")
    if text:
        if not all(isinstance(value, str) for value in data):
            raise _bad(field, "datatype", "holds values that are no text")
        return data
    try:
        column = np.array(data)
    except (ValueError, OverflowError) as error:
        raise _bad(field, "datatype", "holds no plain list of numbers") from error
    if column.ndim != 1 or (column.dtype.kind not in _NUMERIC and len(data)):
        raise _bad(field, "datatype", "holds values that are no numbers")
    return column


def _flat(field: Field, tensor: Mapping[str, Any]) -> list[Any]:
    """The tensor's values, with its shape checked."""
    data, shape = tensor.get("data"), tensor.get("shape")
    if not isinstance(data, list):
        raise _bad(field, "document", "needs a list `data`")
    if data and isinstance(data[0], list):
        if any(not isinstance(row, list) or len(row) != 1 for row in data):
            raise _bad(field, "shape", "is one column: give shape [n] or [n, 1]")
        data = [row[0] for row in data]
    if shape not in ([len(data)], [len(data), 1]):
        raise _bad(field, "shape", f"has {len(data)} values and shape {shape}: give [n] or [n, 1]")
    return data


def _bad(field: Field, reason: str, what: str) -> InputError:
    return InputError(f"input {field.name!r} {what}", reason=reason, input=field.name)
