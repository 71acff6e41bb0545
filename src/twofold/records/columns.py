"""Column-wise batches: the hot path's only shape. Times are `int64` nanoseconds, UTC.

The wrappers are what stages pass on: an Arrow batch plus the tenant and lane it came in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.records.entity import DEFAULT_TENANT
from twofold.records.frame import Lane

SAMPLES: Final = pa.schema(
    [
        pa.field("sid", pa.int64(), nullable=False),
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)

LOGS: Final = pa.schema(
    [
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("entity", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("severity", pa.int8(), nullable=False),  # OpenTelemetry SeverityNumber, 0 unknown, 17+ error
        pa.field("body", pa.string(), nullable=False),
        pa.field("trace_id", pa.string(), nullable=False),  # 32 hex digits or empty
        pa.field("span_id", pa.string(), nullable=False),  # 16 hex digits or empty
        pa.field("attributes", pa.string(), nullable=False),  # JSON object
    ]
)

SPANS: Final = pa.schema(
    [
        pa.field("trace_id", pa.string(), nullable=False),
        pa.field("span_id", pa.string(), nullable=False),
        pa.field("parent_id", pa.string(), nullable=False),  # empty for a root
        pa.field("entity", pa.dictionary(pa.int32(), pa.string()), nullable=False),  # service:<name>
        pa.field("name", pa.dictionary(pa.int32(), pa.string()), nullable=False),  # operation
        pa.field("kind", pa.int8(), nullable=False),  # OTLP: 1 internal 2 server 3 client 4 producer 5 consumer
        pa.field("start_ns", pa.int64(), nullable=False),
        pa.field("duration_ns", pa.int64(), nullable=False),
        pa.field("error", pa.bool_(), nullable=False),
        pa.field(
            "peer", pa.dictionary(pa.int32(), pa.string()), nullable=False
        ),  # entity id of a client span's target, or empty
        pa.field("attributes", pa.string(), nullable=False),  # JSON object
    ]
)

LINKS: Final = pa.schema(
    [
        SPANS.field(name)
        for name in ("span_id", "parent_id", "entity", "kind", "start_ns", "duration_ns", "peer")  # in this order
    ]
)
"""Of spans what tells who called whom."""

PREDICTIONS: Final = pa.schema(
    [
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("model", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("version", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("stage", pa.dictionary(pa.int32(), pa.string()), nullable=False),  # live, canary, shadow
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("latency_ns", pa.int64(), nullable=False),
        pa.field(
            "numbers", pa.list_(pa.float64()), nullable=False
        ),  # numeric inputs, in the order of the version's inputs
        pa.field("texts", pa.list_(pa.string()), nullable=False),  # BYTES inputs, in the order of the version's inputs
        pa.field("outputs", pa.list_(pa.float64()), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """An Arrow record batch on its way through the stages."""

    data: pa.RecordBatch
    tenant: str = DEFAULT_TENANT
    lane: Lane = Lane.LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples(Batch):
    """Samples of any series; schema `SAMPLES`, any order, duplicates possible."""

    def columns(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """`sid`, `time_ns`, `value` as arrays of equal length, without a copy."""
        return (
            self.data.column(0).to_numpy(),
            self.data.column(1).to_numpy(),
            self.data.column(2).to_numpy(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedSamples(Samples):
    """Samples that a stage computed; the runner writes them to history under `window_ns`, once."""

    window_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs(Batch):
    """Log lines; schema `LOGS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans(Batch):
    """Spans; schema `SPANS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Links(Batch):
    """What spans of all partitions tell of calls; schema `LINKS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions(Batch):
    """Prediction log of served models; schema `PREDICTIONS`."""


def samples_batch(
    sid: npt.NDArray[np.int64], time_ns: npt.NDArray[np.int64], value: npt.NDArray[np.float64]
) -> pa.RecordBatch:
    """Arrow batch of schema `SAMPLES` over three arrays of equal length, without a copy."""
    return pa.record_batch([pa.array(sid), pa.array(time_ns), pa.array(value)], schema=SAMPLES)
