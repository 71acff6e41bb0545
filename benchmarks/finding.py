"""Lines and traces to be found: what `benchmarks.query` builds and asks beside samples.

Lines of one hour come from twenty services and five kinds of text: numbers of orders, identifiers, addresses, keys,
heartbeats. A few lines hold words that no other does. Traces have ten spans each and last half a day. All are
compacted; as many more as half a minute brings stay in the hot window, as they do behind a running receiver.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.signals import server
from twofold.records.columns import LOGS, SPANS
from twofold.records.frame import Frame, FrameKind, Position
from twofold.store.history import LineQuery, Table
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import DeltaHistory, HistoryConfig
from twofold.store.history.index import BODY_AT, extent_of

BEGIN_NS: Final = 1_767_225_600_000_000_000  # midnight
HOUR_NS: Final = 3_600_000_000_000
PER_FRAME: Final = 5000
FLUSH_ROWS: Final = 330_000  # as the recorder counts lines and spans
HOT: Final = 40_000  # half a minute of five million an hour
HOPS: Final = 10
SPAN_HOURS: Final = 12
PLANTED: Final = "kernel: Out of memory: killed process 4711 (java) on node-3"
PLANTED_ROWS: Final = 5
TIMES: Final = 15
Ints = npt.NDArray[np.int64]


def measure(home: Path, rows: int) -> dict[str, float]:
    """So many lines, and spans: build what is not there yet, ask the history, then a real `twofold up`."""
    folder = home / "history"
    built: dict[str, float] = {}
    if not folder.exists():
        for kind in (FrameKind.LOGS, FrameKind.SPANS):
            built |= build(folder, kind, rows)
    history = DeltaHistory(folder)
    sizes = history.status()
    found = {
        "lines": float(sizes[Table.LOGS].rows),
        "spans": float(sizes[Table.SPANS].rows),
        "bytes_per_line": sizes[Table.LOGS].size_bytes / rows,
        "bytes_per_span": sizes[Table.SPANS].size_bytes / rows,
        "index_bytes_per_line": _index_bytes(folder / Table.LOGS.value) / rows,
        "index_bytes_per_span": _index_bytes(folder / Table.SPANS.value) / rows,
    }
    for number, (kind, batches) in enumerate(((FrameKind.LOGS, lines), (FrameKind.SPANS, spans))):
        for place, batch in enumerate(batches(rows, HOT, rows)):
            at = Position(1 << 50, number * HOT + place)  # behind all that is stored
            history.append(0, [(at, Frame(kind=kind, payload=b"", time_ns=1, rows=batch.num_rows, data=batch))])

    def searched(text: str) -> int:
        asked = LineQuery(text=text, start_ns=BEGIN_NS, end_ns=BEGIN_NS + HOUR_NS)
        return int(history.lines(asked, tenant="main").num_rows)

    def traced(trace: str) -> int:
        return int(history.trace(trace, tenant="main").num_rows)

    for name, text in texts().items():
        found |= _took(f"log_substring{name}", text, searched)
    for name, trace in traces(rows).items():
        found |= _took(f"trace_by_id{name}", trace, traced)
    return {**built, **found, **_by_rest(home, rows)}


def _by_rest(home: Path, rows: int) -> dict[str, float]:
    """The same questions to a running server, whose hot window is empty."""
    (home / "up.log").unlink(missing_ok=True)
    found: dict[str, float] = {}
    with server(home) as (url, _, token), httpx.Client(base_url=f"{url}/api/v1", trust_env=False, timeout=60.0) as api:
        api.headers["authorization"] = f"Bearer {token}"
        within = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}

        def searched(text: str) -> int:
            return len(json.loads(api.get("/logs", params={"q": text, **within}).raise_for_status().content)["items"])

        def traced(trace: str) -> int:
            answer = api.get(f"/traces/{trace}")
            return len(json.loads(answer.content)["spans"]) if answer.is_success else 0

        while not api.get(
            "/logs", params={"q": "kernel", **within}
        ).is_success:  # on a busy machine the first is cut off
            time.sleep(0.5)
        for name, text in texts().items():
            found |= _took(f"rest_log_substring{name}", text, searched)
        for name, trace in traces(rows).items():
            if name != "_hot":
                found |= _took(f"rest_trace_by_id{name}", trace, traced)
    return found


def _took(name: str, what: Callable[[int], str], ask: Callable[[str], int]) -> dict[str, float]:
    """Median milliseconds of the warm runs, here also of processors, the rows that they found, and the first run."""
    took, used, rows = [], [], []
    for run in range(TIMES + 1):
        began, cpu_s = time.perf_counter(), time.process_time()
        rows.append(ask(what(run)))
        took.append((time.perf_counter() - began) * 1e3)
        used.append((time.process_time() - cpu_s) * 1e3)
    return {
        f"{name}_ms": statistics.median(took[1:]),
        f"cpu_{name}_ms": statistics.median(used[1:]),
        f"{name}_rows": statistics.mean(rows[1:]),
        f"cold_{name}_ms": took[0],
    }


def texts() -> Mapping[str, Callable[[int], str]]:
    """What is searched for, by the end of its figure's name; numbers differ in each run."""
    return {
        "": lambda _: "OUT of memory: Killed",
        "_number": lambda run: str(123_457 + 7919 * run),
        "_absent": lambda run: f"segmentation fault {run}",
        "_absent_id": lambda run: f"6f1d33aa-{run:04d}",
        "_frequent": lambda _: "took",
        "_none_given": lambda _: "",
    }


def traces(rows: int) -> Mapping[str, Callable[[int], str]]:
    """Which traces are asked for: of the whole half day, in the hot window, none."""
    return {
        "": lambda run: trace_of((run * 7919 + 5) % (rows // HOPS)),
        "_hot": lambda run: trace_of(rows // HOPS + run),
        "_absent": lambda run: trace_of(10**9 + run),
    }


def build(folder: Path, kind: FrameKind, rows: int) -> dict[str, float]:
    """Write rows as the recorder does, and compact them."""
    history = DeltaHistory(folder, config=HistoryConfig(compact=CompactConfig(settle_s=0.0, small_files=2)))
    name, cpu_s, waiting = kind.name.lower(), 0.0, 0
    for number, batch in enumerate((lines if kind is FrameKind.LOGS else spans)(0, rows, rows)):
        began = time.process_time()
        frame = Frame(kind=kind, payload=b"", time_ns=1, rows=batch.num_rows, data=batch)
        history.append(0, [(Position(0, number + 1), frame)])
        waiting += batch.num_rows
        if waiting >= FLUSH_ROWS:
            history.flush()
            waiting = 0
        cpu_s += time.process_time() - began
    history.flush()
    began = time.process_time()
    history.compact()
    compact_s = time.process_time() - began
    history.close()
    return {f"flush_{name}_ns": cpu_s / rows * 1e9, f"compact_{name}_ns": compact_s / rows * 1e9}


def _index_bytes(folder: Path) -> int:
    """Bytes of the indexes of all files below."""
    found = 0
    for path in folder.glob("*/*.parquet"):
        with path.open("rb") as file:
            begin, end = extent_of(file.read(BODY_AT)) or (0, 0)
        found += end - begin
    return found


def lines(first: int, count: int, total: int) -> Iterator[pa.RecordBatch]:
    """Frames of lines, evenly over an hour that holds so many in total."""
    draw = np.random.default_rng(4 + first)
    planted = {first + each for each in draw.choice(count, PLANTED_ROWS, replace=False).tolist()}
    for begin in range(first, first + count, PER_FRAME):
        index = np.arange(begin, min(first + count, begin + PER_FRAME))
        bodies = _bodies(draw, len(index))
        for row in sorted(planted & set(index.tolist())):
            bodies[row - begin] = PLANTED
        trace = np.where(draw.random(len(index)) < 0.5, _hex(draw, len(index), 32), "")  # noqa: PLR2004 - half of them
        service = draw.integers(0, 20)
        attributes = '{"http.request.method": "GET", "http.route": "/api/v1/orders/{id}", "code.lineno": 231}'
        yield pa.record_batch(
            [
                BEGIN_NS + index * (HOUR_NS // (total + HOT)),
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


def spans(first: int, count: int, total: int) -> Iterator[pa.RecordBatch]:
    """Frames of whole traces, evenly over half a day; `trace_of` names them."""
    draw = np.random.default_rng(5 + first)
    names = pa.array([f"POST /step/{hop}" for hop in range(HOPS)])
    services = pa.array([f"service:service-{hop % 5}" for hop in range(HOPS)])
    for begin in range(first, first + count, PER_FRAME):
        size = min(PER_FRAME, first + count - begin)
        hop = np.arange(size) % HOPS
        ids = pa.array(_hex(draw, size, 16))
        names_of = [trace_of((begin + row) // HOPS) for row in range(0, size, HOPS)]
        start = BEGIN_NS + (begin + np.arange(size)) // HOPS * (SPAN_HOURS * HOUR_NS * HOPS // (total + HOT))
        status = [f'{{"http.response.status_code": 200, "n": {row}}}' for row in draw.integers(0, 500, size).tolist()]
        yield pa.record_batch(
            [
                pa.array(np.repeat(np.array(names_of), HOPS)[:size]),
                ids,
                pc.if_else(pa.array(hop == 0), "", ids.take(pa.array(np.maximum(np.arange(size) - 1, 0)))),
                services.take(pa.array(hop)).dictionary_encode(),
                names.take(pa.array(hop)).dictionary_encode(),
                pa.array(np.where(hop == 0, 2, 3), pa.int8()),
                start + hop * draw.integers(1, 2_000_000, size),
                draw.lognormal(15.0, 1.0, size).astype(np.int64),
                pa.array(draw.random(size) < 0.02),  # noqa: PLR2004 - two in a hundred
                pa.array([""] * size).dictionary_encode(),
                pa.array(status),
            ],
            schema=SPANS,
        )


def trace_of(number: int) -> str:
    """The id of a trace: spread like a random one, and known again."""
    low = (number + 1) * 0x9E3779B97F4A7C15 % 2**64
    return f"{low * 0xD6E8FEB86659FD93 % 2**64:016x}{low:016x}"
