"""Journal and history: appended, flushed, compacted and read points, beside the plain way in the same run.

The plain way of the journal is one writer that syncs every batch by itself; the plain way of the
history is `write_deltalake` with its defaults, in the order of arrival, read by DuckDB.

    python benchmarks/store.py [--quick] [--folder DIR] [--json FILE]
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import deltalake
import duckdb
import numpy as np
import pyarrow as pa

from twofold.records.columns import samples_batch
from twofold.records.frame import Frame, FrameKind, Position
from twofold.store.history import Table
from twofold.store.history.compact import CompactConfig
from twofold.store.history.delta import DeltaHistory, HistoryConfig
from twofold.store.journal import batches
from twofold.store.journal.codec import decode_payload, encode_batch
from twofold.store.journal.segments import SegmentJournal

STEP_NS: Final = 10_000_000_000
NOON: Final = 1_767_268_800_000_000_000
BATCH: Final = 10_000
MINUTE_NS: Final = 60_000_000_000


def values(series: int, steps: int) -> list[pa.RecordBatch]:
    """Batches of one sample of up to 10,000 series each, as exporters send them: gauges of two decimals."""
    draw = np.random.default_rng(1)
    sids = np.sort(draw.integers(0, 2**62, series))
    level = draw.uniform(1, 100, series)
    found = []
    for step in range(steps):
        level += draw.normal(0, 0.5, series)
        for at in range(0, series, BATCH):
            part = slice(at, at + BATCH)
            times = np.full(len(sids[part]), NOON + step * STEP_NS)
            found.append(samples_batch(sids[part], times, level[part].round(2)))
    return found


def frames_of(points: list[pa.RecordBatch]) -> list[Frame]:
    """One frame a batch, encoded."""
    return [
        Frame(kind=FrameKind.SAMPLES, payload=encode_batch(batch), time_ns=NOON, rows=batch.num_rows)
        for batch in points
    ]


def journal(folder: Path, points: list[pa.RecordBatch], threads: int) -> dict[str, float]:
    """Encode, append and sync from many threads; then read as a consumer that starts late."""
    opened = SegmentJournal(folder)
    todo = itertools.islice(points, 0, None)
    lock, late = threading.Lock(), []

    def send() -> None:
        while True:
            with lock:
                batch = next(todo, None)
            if batch is None:
                return
            (frame,) = frames_of([batch])
            started = time.perf_counter()
            opened.append([frame])
            late.append(time.perf_counter() - started)

    senders = [threading.Thread(target=send) for _ in range(threads)]
    started = time.perf_counter()
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    took = time.perf_counter() - started
    rows = sum(batch.num_rows for batch in points)
    size = opened.size_bytes()
    started = time.perf_counter()
    read = sum(decode_payload(frame).num_rows for _, frame in batches(opened, 0, Position(0, 0)))
    read_took = time.perf_counter() - started
    opened.close()
    if read != rows:
        raise SystemExit(f"{rows} points appended, {read} read")
    return {
        "points_per_s": rows / took,
        "p99_ms": float(np.quantile(late, 0.99)) * 1e3,
        "bytes_per_point": size / rows,
        "read_points_per_s": rows / read_took,
    }


def best_ms(ask: Callable[[], int], times: int = 7) -> float:
    """Shortest of some runs, after one to warm up."""
    if not ask():
        raise SystemExit("a question found nothing")
    took = []
    for _ in range(times):
        started = time.perf_counter()
        ask()
        took.append(time.perf_counter() - started)
    return min(took) * 1e3


def history(folder: Path, points: list[pa.RecordBatch], flush_rows: int) -> dict[str, float]:
    """Take frames, flush, compact; ask before and after each."""
    opened = DeltaHistory(folder, config=HistoryConfig(compact=CompactConfig(settle_s=0, small_files=2)))
    sids = np.unique(np.concatenate([batch.column(0).to_numpy() for batch in points[:10]]))

    def questions(newest: pa.RecordBatch) -> dict[str, float]:
        last = int(newest.column(1)[0].as_py()) + 1
        hour = last - 60 * MINUTE_NS
        some = sids[:: max(1, len(sids) // 100)][:100].tolist()
        return {
            "one_series_1h_ms": best_ms(lambda: opened.samples(sids[7:8].tolist(), hour, last, tenant="main").num_rows),
            "100_series_by_minute_ms": best_ms(
                lambda: opened.samples(some, 0, last, tenant="main", step_ns=MINUTE_NS).num_rows
            ),
            "sql_one_series_ms": best_ms(
                lambda: (
                    opened.query(
                        "SELECT avg(value) FROM samples WHERE sid = $sid",
                        tenant="main",
                        parameters={"sid": int(sids[7])},
                        start_ns=hour,
                    ).num_rows
                )
            ),
        }

    frames = frames_of(points)
    rows, took, flushing, at = 0, 0.0, 0.0, 0
    hot: dict[str, float] = {}
    for batch, frame in zip(points, frames, strict=True):
        at += len(frame.payload)
        started = time.perf_counter()
        opened.append(0, [(Position(0, at), frame)])
        took += time.perf_counter() - started
        rows += frame.rows
        if rows % flush_rows < frame.rows:
            hot = hot or questions(batch)
            started = time.perf_counter()
            opened.flush()
            flushing += time.perf_counter() - started
    opened.flush()
    flushed, size = questions(points[-1]), opened.status()[Table.SAMPLES].size_bytes
    started = time.perf_counter()
    opened.compact()
    compacting = time.perf_counter() - started
    compacted, status = questions(points[-1]), opened.status()[Table.SAMPLES]
    opened.close()
    return {
        "append_points_per_s": rows / took,
        "flush_points_per_s": rows / flushing,
        "compact_points_per_s": rows / compacting,
        "flushed_bytes_per_point": size / rows,
        "compacted_bytes_per_point": status.size_bytes / rows,
        "files": status.files,
        **{f"hot_{name}": each for name, each in hot.items()},
        **{f"flushed_{name}": each for name, each in flushed.items()},
        **{f"compacted_{name}": each for name, each in compacted.items()},
    }


def plain(folder: Path, points: list[pa.RecordBatch], flush_rows: int) -> dict[str, float]:
    """The same rows by `write_deltalake` as it comes."""
    took, rows, pending = 0.0, 0, []
    for batch in [*points, None]:
        if batch is not None:
            pending.append(batch)
        if pending and (batch is None or sum(each.num_rows for each in pending) >= flush_rows):
            table = pa.Table.from_batches(pending)
            started = time.perf_counter()
            deltalake.write_deltalake(str(folder), table, mode="append")
            took += time.perf_counter() - started
            rows += table.num_rows
            pending = []
    table = deltalake.DeltaTable(str(folder))
    files = ", ".join(f"'{path}'" for path in table.file_uris())
    size = sum(Path(path).stat().st_size for path in table.file_uris())
    sid, last = points[0].column(0)[7].as_py(), points[-1].column(1)[0].as_py()
    sql = (
        f"SELECT time_ns, value FROM read_parquet([{files}]) "  # noqa: S608 - our own files and numbers
        f"WHERE sid = {sid} AND time_ns > {last - 60 * MINUTE_NS}"
    )
    with duckdb.connect() as database:
        asked = best_ms(lambda: database.sql(sql).to_arrow_table().num_rows)
    return {"flush_points_per_s": rows / took, "bytes_per_point": size / rows, "one_series_1h_ms": asked}


def run(series: int, steps: int, where: Path | None) -> dict[str, dict[str, float]]:
    """All numbers, and how many times better they are than the plain way."""
    points = values(series, steps)
    flush_rows = series * steps // 6
    with tempfile.TemporaryDirectory(dir=where) as name:
        folder = Path(name)
        found = {
            "journal": journal(folder / "journal", points, threads=8),
            "journal, plain": journal(folder / "journal-plain", points, threads=1),
            "history": history(folder / "history", points, flush_rows),
            "history, plain": plain(folder / "plain", points, flush_rows),
        }
    ours, other = found["history"], found["history, plain"]
    found["ratios"] = {
        "journal_points_per_s": found["journal"]["points_per_s"] / found["journal, plain"]["points_per_s"],
        "bytes_per_point": other["bytes_per_point"] / ours["compacted_bytes_per_point"],
        "one_series_1h": other["one_series_1h_ms"] / ours["compacted_one_series_1h_ms"],
    }
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1 M points; else 10 M")
    parser.add_argument("--folder", type=Path, help="on the device to measure; else the temporary folder")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    arguments = parser.parse_args()
    result = run(10_000, 100 if arguments.quick else 1000, arguments.folder)
    for part, numbers in result.items():
        print(part)
        for name, each in numbers.items():
            print(f"  {name:40}{each:>16,.{0 if name.endswith('per_s') and part != 'ratios' else 2}f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
