"""Questions over compacted history, as charts, reports, detectors and people ask them.

    python -m benchmarks.query [--quick] [--only samples|found] [--folder DIR] [--json]

10,000 series of one day at a sample each 15 seconds (57.6 million points; --quick: 1,000 series), written frame by
frame, flushed and compacted, then asked: one_series_1h_ms, one_series_24h_ms, hundred_series_6h_ms (by minute),
all_series_5m_ms, and sql_one_series_1h_ms through the sandbox of foreign SQL. Each is the median of the warm runs,
every run asking for other series; `cold_` is the first run over a history opened anew.

Then five million log lines of one hour and five million spans of half a day (--quick: a tenth), see `finding`:
log_substring_ms (the newest 200 lines that hold a text, which few do; `_number` of six digits, `_absent`, `_absent_id`,
`_frequent`, `_none_given`), trace_by_id_ms over all time (`_hot` in memory, `_absent`), and both with `rest_` through a
running server. `_rows` is what was found on average.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks import finding
from twofold.records.columns import samples_batch
from twofold.records.frame import Frame, FrameKind, Position
from twofold.store.history import Table
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import DeltaHistory, HistoryConfig

STEP_NS: Final = 15_000_000_000
MINUTE_NS: Final = 60_000_000_000
HOUR_NS: Final = 60 * MINUTE_NS
BEGIN_NS: Final = 1_767_225_600_000_000_000  # midnight
STEPS: Final = 5760
PER_FRAME: Final = 10_000
FLUSH_ROWS: Final = 2_000_000
TIMES: Final = 15


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,000 series")
    parser.add_argument("--only", choices=("samples", "found"))
    parser.add_argument("--folder", type=Path, help="keep the history here, and use it again")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="twofold-query-") as temporary:
        folder = given.folder or Path(temporary)
        found: dict[str, float] = {}
        if given.only != "found":
            found |= measure(folder, 1_000 if given.quick else 10_000)
        if given.only != "samples":
            found |= finding.measure(folder / "found", 500_000 if given.quick else 5_000_000)
    print(json.dumps(found) if given.json else "\n".join(f"{name:36}{value:>16,.2f}" for name, value in found.items()))


def measure(folder: Path, series: int) -> dict[str, float]:
    """Build what is not there yet, then ask."""
    sids = np.sort(np.random.default_rng(1).choice(1 << 50, series, replace=False)) | 7 << 53
    built = {} if (folder / "samples").exists() else build(folder, sids)
    history = DeltaHistory(folder)
    status = history.status()[Table.SAMPLES]
    if status.rows != series * STEPS:
        raise SystemExit(f"{status.rows} rows stand in {folder}, {series * STEPS} were written")
    answers = {name: ask(question) for name, question in questions(history, sids).items()}
    history.close()
    return {
        **built,
        "points": float(status.rows),
        "files": float(status.files),
        "bytes_per_point": status.size_bytes / status.rows,
        **{name: warm for name, (warm, _) in answers.items()},
        **{f"cold_{name}": cold for name, (_, cold) in answers.items()},
    }


def build(folder: Path, sids: np.ndarray) -> dict[str, float]:
    """Gauges of two decimals that wander about their means, written as the recorder writes them."""
    draw = np.random.default_rng(2)
    history = DeltaHistory(folder, config=HistoryConfig(compact=CompactConfig(settle_s=0.0, small_files=2)))
    mean, away = draw.uniform(20.0, 100.0, len(sids)), np.zeros(len(sids))
    began, rows, number = time.process_time(), 0, 0
    for step in range(STEPS):
        away = 0.9 * away + draw.normal(0.0, 0.5, len(sids))
        values = (mean + away).round(2)
        for first in range(0, len(sids), PER_FRAME):
            part = slice(first, first + PER_FRAME)
            batch = samples_batch(sids[part], np.full(len(sids[part]), BEGIN_NS + step * STEP_NS), values[part])
            number, rows = number + 1, rows + batch.num_rows
            frame = Frame(kind=FrameKind.SAMPLES, payload=b"", time_ns=1, rows=batch.num_rows, data=batch)
            history.append(0, [(Position(0, number), frame)])
        if rows >= FLUSH_ROWS:
            history.flush()
            rows = 0
    history.flush()
    written = time.process_time()
    history.compact()
    compacted = time.process_time()
    history.close()
    points = len(sids) * STEPS
    return {
        "flush_ns_per_point": (written - began) / points * 1e9,
        "compact_ns_per_point": (compacted - written) / points * 1e9,
    }


def questions(history: DeltaHistory, sids: np.ndarray) -> dict[str, Callable[[int], int]]:
    """Each takes the number of the run and gives how many rows it must have found, and found."""
    end = BEGIN_NS + STEPS * STEP_NS
    draw = np.random.default_rng(3)

    def some(count: int) -> list[int]:
        return [int(sid) for sid in draw.choice(sids, count, replace=False)]

    def read(count: int, start: int, stop: int, step_ns: int = 0) -> int:
        chosen = some(count) if count < len(sids) else [int(sid) for sid in sids]
        rows: int = history.samples(chosen, start, stop, tenant="main", step_ns=step_ns).num_rows
        expected = count * (stop - start) // (step_ns or STEP_NS)
        if rows != expected:
            raise SystemExit(f"{rows} rows found, {expected} expected")
        return rows

    def sql(hour: int) -> int:
        (sid,) = some(1)
        found = history.query(
            "SELECT time_ns, value FROM samples WHERE sid = $sid ORDER BY time_ns",
            tenant="main",
            parameters={"sid": sid},
            start_ns=BEGIN_NS + hour * HOUR_NS,
            end_ns=BEGIN_NS + (hour + 1) * HOUR_NS,
        )
        return int(found.num_rows)

    return {
        "one_series_1h_ms": lambda run: read(1, BEGIN_NS + run * HOUR_NS, BEGIN_NS + (run + 1) * HOUR_NS),
        "one_series_24h_ms": lambda _: read(1, BEGIN_NS, end),
        "hundred_series_6h_ms": lambda run: read(
            100, BEGIN_NS + run % 18 * HOUR_NS, BEGIN_NS + (run % 18 + 6) * HOUR_NS, MINUTE_NS
        ),
        "all_series_5m_ms": lambda run: read(
            len(sids), BEGIN_NS + run * HOUR_NS, BEGIN_NS + run * HOUR_NS + 5 * MINUTE_NS
        ),
        "sql_one_series_1h_ms": sql,
    }


def ask(question: Callable[[int], int]) -> tuple[float, float]:
    """Median of the warm runs and the first one, in milliseconds."""
    took = []
    for run in range(TIMES + 1):
        began = time.perf_counter()
        question(run)
        took.append((time.perf_counter() - began) * 1e3)
    return statistics.median(took[1:]), took[0]


if __name__ == "__main__":
    main()
