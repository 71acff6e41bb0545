"""Lines and traces to be found: what `benchmarks.query` builds and asks beside samples.

Lines of one hour come from twenty services and five kinds of text: numbers of orders, identifiers, addresses, keys,
heartbeats. A few lines hold words that no other does. Traces have ten spans each and last half a day. The last rows
stay in the hot window, as they do behind a running receiver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twofold.records.columns import LOGS, SPANS
from twofold.records.frame import Frame, FrameKind, Position
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import DeltaHistory, HistoryConfig

BEGIN_NS: Final = 1_767_225_600_000_000_000  # midnight
HOUR_NS: Final = 3_600_000_000_000
PER_FRAME: Final = 5000
FLUSH_ROWS: Final = 330_000  # as the recorder counts lines and spans
HOT: Final = 40_000  # half a minute of five million an hour
HOPS: Final = 10
SPAN_HOURS: Final = 12
PLANTED: Final = "kernel: Out of memory: killed process 4711 (java) on node-3"
PLANTED_ROWS: Final = 5
Ints = npt.NDArray[np.int64]


def build(folder: Path, kind: FrameKind, rows: int) -> DeltaHistory:
    """Write rows as the recorder does, compact what is flushed, leave the last in the hot window."""
    history = DeltaHistory(folder, config=HistoryConfig(compact=CompactConfig(settle_s=0.0, small_files=2)))
    waiting = 0
    for number, batch in enumerate(lines(rows) if kind is FrameKind.LOGS else spans(rows)):
        if (number + 1) * PER_FRAME > rows - HOT and waiting:
            history.flush()
            history.compact()
            waiting = -rows
        frame = Frame(kind=kind, payload=b"", time_ns=1, rows=batch.num_rows, data=batch)
        history.append(0, [(Position(0, number + 1), frame)])
        waiting += batch.num_rows
        if waiting >= FLUSH_ROWS:
            history.flush()
            waiting = 0
    return history


def lines(rows: int) -> Iterator[pa.RecordBatch]:
    """Frames of lines, evenly over an hour."""
    draw = np.random.default_rng(4)
    planted = set(draw.choice(rows, PLANTED_ROWS, replace=False).tolist())
    for begin in range(0, rows, PER_FRAME):
        index = np.arange(begin, min(rows, begin + PER_FRAME))
        bodies = _bodies(draw, len(index))
        for row in sorted(planted & set(index.tolist())):
            bodies[row - begin] = PLANTED
        trace = np.where(draw.random(len(index)) < 0.5, _hex(draw, len(index), 32), "")  # noqa: PLR2004 - half of them
        service = draw.integers(0, 20)
        attributes = '{"http.request.method": "GET", "http.route": "/api/v1/orders/{id}", "code.lineno": 231}'
        yield pa.record_batch(
            [
                BEGIN_NS + index * (HOUR_NS // rows),
                pa.array([f"service:service-{service}"] * len(index)).dictionary_encode(),
                pa.array(np.where(draw.random(len(index)) < 0.02, 17, 9), pa.int8()),  # noqa: PLR2004 - two in a hundred
                pa.array(bodies),
                pa.array(trace),
                pa.array([text[:16] for text in trace.tolist()]),
                pa.array([attributes] * len(index)),
            ],
            schema=LOGS,
        )


def _bodies(draw: np.random.Generator, count: int) -> list[str]:
    number = draw.integers(0, 10**6, count).tolist()
    small = draw.integers(0, 10**4, count).tolist()
    took = (draw.random(count) * 100).tolist()
    key = _hex(draw, count, 32).tolist()
    kind = draw.choice(5, count, p=[0.4, 0.2, 0.15, 0.15, 0.1]).tolist()
    made: list[Callable[[int], str]] = [
        lambda i: f"GET /api/v1/orders/{number[i]} 200 took {took[i]:.2f} ms for user u{small[i]}",
        lambda i: f"processed message {key[i][:8]}-{key[i][8:12]}-{key[i][12:16]}-{key[i][16:]} in {took[i]:.1f} ms",
        lambda i: f"connection from 10.{small[i] % 8}.{small[i] % 251}.{number[i] % 255}:{number[i] % 65536} accepted",
        lambda i: f"Cache miss for key session:{key[i][:16]}, loading from database orders-db",
        lambda i: f"worker {small[i] % 32} heartbeat, sequence {number[i]}, queue length {small[i] % 100}",
    ]
    return [made[each](row) for row, each in enumerate(kind)]


def _hex(draw: np.random.Generator, count: int, digits: int) -> npt.NDArray[np.str_]:
    text = draw.bytes(count * digits // 2).hex()
    return np.array([text[at : at + digits] for at in range(0, len(text), digits)])


def spans(rows: int) -> Iterator[pa.RecordBatch]:
    """Frames of whole traces, evenly over half a day; `trace_of` names them."""
    draw = np.random.default_rng(5)
    names = pa.array([f"POST /step/{hop}" for hop in range(HOPS)])
    services = pa.array([f"service:service-{hop % 5}" for hop in range(HOPS)])
    for begin in range(0, rows, PER_FRAME):
        count = min(PER_FRAME, rows - begin)
        hop = np.arange(count) % HOPS
        ids = pa.array(_hex(draw, count, 16))
        traces = [trace_of((begin + row) // HOPS) for row in range(0, count, HOPS)]
        start = BEGIN_NS + (begin + np.arange(count)) // HOPS * (SPAN_HOURS * HOUR_NS * HOPS // rows)
        status = [f'{{"http.response.status_code": 200, "n": {row}}}' for row in draw.integers(0, 500, count).tolist()]
        yield pa.record_batch(
            [
                pa.array(np.repeat(np.array(traces), HOPS)[:count]),
                ids,
                pc.if_else(pa.array(hop == 0), "", ids.take(pa.array(np.maximum(np.arange(count) - 1, 0)))),
                services.take(pa.array(hop)).dictionary_encode(),
                names.take(pa.array(hop)).dictionary_encode(),
                pa.array(np.where(hop == 0, 2, 3), pa.int8()),
                start + hop * draw.integers(1, 2_000_000, count),
                draw.lognormal(15.0, 1.0, count).astype(np.int64),
                pa.array(draw.random(count) < 0.02),  # noqa: PLR2004 - two in a hundred
                pa.array([""] * count).dictionary_encode(),
                pa.array(status),
            ],
            schema=SPANS,
        )


def trace_of(number: int) -> str:
    """The id of a trace: spread like a random one, and known again."""
    low = (number + 1) * 0x9E3779B97F4A7C15 % 2**64
    return f"{low * 0xD6E8FEB86659FD93 % 2**64:016x}{low:016x}"


def line_questions() -> Mapping[str, str]:
    """What is searched for, by the name of its figure; `{number}` differs in each run."""
    return {
        "rare": "OUT of memory: Killed",
        "rare_id": "{number}",
        "absent": "segmentation fault",
        "absent_id": "6f1d33aa-{number}",
        "frequent": "took",
    }
