"""A query's answer as Prometheus's HTTP API writes it.

Source: Prometheus's documentation of its HTTP API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import add
from typing import Any, Final

import numpy as np
import orjson

from twofold.store.promql import Answer, Kind, Labels
from twofold.store.promql.form import numbers
from twofold.store.promql.values import Floats, Vector

SECOND_MS: Final = 1000


def success(data: object, *, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> bytes:
    """The body of an answer."""
    told = {name: list(texts) for name, texts in (("warnings", warnings), ("infos", infos)) if texts}
    return orjson.dumps({"status": "success", "data": data} | told)


def failure(kind: str, text: str) -> bytes:
    """The body of an error."""
    return orjson.dumps({"status": "error", "errorType": kind, "error": text})


def data_of(answer: Answer) -> Mapping[str, Any]:
    """`data` of a query's answer."""
    return {"resultType": answer.kind.value, "result": _result(answer)}


def _result(answer: Answer) -> Any:
    times = seconds(answer.steps.tolist())
    if answer.kind is Kind.STRING:
        return [times[0], answer.text]
    if answer.samples is not None:
        of = answer.samples
        runs = [slice(*bounds) for bounds in zip(of.starts[:-1].tolist(), of.starts[1:].tolist(), strict=True)]
        return [
            _series(labels, _openings(seconds(of.times[run].tolist())), of.values[run])
            for labels, run in zip(of.labels, runs, strict=True)
        ]
    vector = answer.vector
    if vector is None:
        return []
    if answer.kind is Kind.MATRIX:
        return _matrix(vector, _openings(times))
    texts = numbers(vector.values[:, 0])
    if answer.kind is Kind.SCALAR:
        return [times[0], texts[0]]
    return [
        {"metric": dict(labels), "value": [times[0], text]} for labels, text in zip(vector.labels, texts, strict=True)
    ]


def _matrix(vector: Vector, openings: list[str]) -> list[dict[str, Any]]:
    if vector.present.all():
        return [_series(labels, openings, values) for labels, values in zip(vector.labels, vector.values, strict=True)]
    some = np.array(openings, object)
    rows = zip(vector.labels, vector.values, vector.present, strict=True)
    return [_series(labels, some[there].tolist(), values[there]) for labels, values, there in rows]


def _openings(times: Iterable[float]) -> list[str]:
    """How the pair of each time begins; numbers need no escapes, so pairs are put together as text."""
    return [f'[{time!r},"' for time in times]


def _series(labels: Labels, openings: Iterable[str], values: Floats) -> dict[str, Any]:
    pairs = '"],'.join(map(add, openings, numbers(values)))
    return {"metric": dict(labels), "values": orjson.Fragment(f'[{pairs}"]]' if pairs else "[]")}


def seconds(times_ms: Iterable[int]) -> list[float]:
    """Seconds, whole ones as whole numbers.

    >>> seconds([1000, 1500])
    [1, 1.5]
    """
    return [time // SECOND_MS if time % SECOND_MS == 0 else time / SECOND_MS for time in times_ms]
