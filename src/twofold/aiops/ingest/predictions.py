"""The prediction log: of models served elsewhere as JSON rows, of our own serving as batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import orjson
import pyarrow as pa
from starlette.responses import Response

from twofold.aiops.ingest.counts import Item, Outcome
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.receiver import Payload, problem
from twofold.aiops.ingest.wire import items_of, judge, text_of, time_of
from twofold.errors import DecodeError, TwofoldError
from twofold.records.columns import PREDICTIONS
from twofold.records.frame import FrameKind
from twofold.records.time import to_datetime, to_ns

STAGES: Final = frozenset({"live", "canary", "shadow"})
_MAX_LATENCY_NS: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Row:
    """One prediction, in the order of the columns of `PREDICTIONS`."""

    time_ns: int
    model: str
    version: str
    stage: str
    request_id: str
    latency_ns: int
    numbers: list[float]
    texts: list[str]
    outputs: list[float]


class Predictions:
    """`POST /v1/predictions`: one object or a list.

    Each: `model`, `version`, `stage` (live), `request_id`, `time` (RFC 3339, now), `latency_ms` or
    `latency_ns`, `numbers`, `texts`, `outputs`; null among numbers is a missing value.
    """

    name: ClassVar[str] = "predictions"
    path: ClassVar[str] = "/v1/predictions"
    media: ClassVar[tuple[str, ...]] = ("application/json",)
    encoding: ClassVar[str] = ""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def receive(self, payload: Payload) -> Response:
        """Store the rows."""
        origin = payload.origin
        latest_ns = self._intake.latest_ns(origin)
        found = judge(items_of(payload.body), lambda item: row_of(item, origin, latest_ns))
        stored = len(found.good)
        outcome = Outcome(Item.PREDICTIONS, found.received, stored, rows=stored, rejected=found.rejected)
        return found.answer(self._intake.batch(FrameKind.PREDICTIONS, batch_of(found.good), outcome, origin))

    def refuse(self, error: TwofoldError, media: str) -> Response:
        """A problem document."""
        return problem(error, media)


def row_of(item: Mapping[str, Any], origin: Origin, latest_ns: int) -> Row:
    """The prediction that an object tells of. Raises `DecodeError`."""
    model = text_of(item, "model", limit=256)
    if not model:
        raise DecodeError("model is missing", reason="no_model")
    stage = text_of(item, "stage", "live")
    if stage not in STAGES:
        raise DecodeError(f"stage {stage[:40]!r} is not one of {', '.join(sorted(STAGES))}", reason="bad_field")
    return Row(
        to_ns(time_of(item, "time", origin.time_ns, latest_ns)),
        model,
        text_of(item, "version", limit=256),
        stage,
        text_of(item, "request_id", limit=256),
        _latency_ns(item),
        _numbers(item, "numbers"),
        _texts(item),
        _numbers(item, "outputs"),
    )


def _latency_ns(item: Mapping[str, Any]) -> int:
    value, scale = (item["latency_ms"], 1e6) if "latency_ms" in item else (item.get("latency_ns", 0), 1)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value * scale < _MAX_LATENCY_NS:
        raise DecodeError(f"latency {str(value)[:40]!r} is not a time", reason="bad_field")
    return int(value * scale)


def _numbers(item: Mapping[str, Any], key: str) -> list[float]:
    values = item.get(key, [])
    if not isinstance(values, list) or not all(value is None or isinstance(value, int | float) for value in values):
        raise DecodeError(f"{key} is not a list of numbers", reason="bad_field", field=key)
    try:
        return [float("nan") if value is None else float(value) for value in values]
    except OverflowError:
        raise DecodeError(f"{key} holds a number past what a float can be", reason="bad_field", field=key) from None


def _texts(item: Mapping[str, Any]) -> list[str]:
    values = item.get("texts", [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise DecodeError("texts is not a list of texts", reason="bad_field", field="texts")
    return values


def batch_of(rows: Sequence[Row]) -> pa.RecordBatch:
    """Rows as a batch of schema `PREDICTIONS`."""
    columns = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in PREDICTIONS]
    return pa.record_batch(columns, schema=PREDICTIONS)


def json_of(batch: pa.RecordBatch) -> bytes:
    """A batch as the JSON rows that this receiver takes; NaN becomes null."""
    rows = []
    for row in batch.to_pylist():
        time = to_datetime(row.pop("time_ns")).isoformat()
        rows.append(row | {"time": time})
    return orjson.dumps(rows)
