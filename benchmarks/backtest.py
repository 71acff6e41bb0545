"""How fast history is replayed through a detector's whole chain: `python -m benchmarks.backtest [--series N] [--json]`.

Keys: points_per_s (by the clock, reading included), cpu_ns_per_point, points, series, pages.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import numpy as np

from twofold.aiops.correlate.config import CorrelateConfig
from twofold.joints.backtests import Backtests
from twofold.joints.detectors import Released
from twofold.records.backtest import Backtest
from twofold.records.columns import samples_batch
from twofold.records.frame import Frame, FrameKind, Position, Source
from twofold.records.series import Origin
from twofold.records.time import SECOND_NS, to_datetime
from twofold.store.blobs.files import FileBlobs
from twofold.store.catalog.files import FileCatalog
from twofold.store.history.delta import DeltaHistory
from twofold.store.journal.codec import encode_batch
from twofold.store.ledger.sql import open_ledger

BEGAN_NS = 1_760_000_000 * SECOND_NS
STEP_S = 10
PER_FRAME = 30


def frames(sids: np.ndarray[tuple[int], np.dtype[np.int64]], steps: int) -> Iterator[tuple[Position, Frame]]:
    """Calm series with a level shift of one in a hundred after two thirds of the time."""
    rng = np.random.default_rng(1)
    level = rng.uniform(0.05, 0.2, len(sids))
    for number, first in enumerate(range(0, steps, PER_FRAME), 1):
        count = min(PER_FRAME, steps - first)
        step = np.arange(first, first + count)
        value = level[None, :] * (1.0 + 0.05 * rng.standard_normal((count, len(sids))))
        value[step >= steps * 2 // 3, ::100] *= 4.0
        time_ns = np.repeat(BEGAN_NS + step * STEP_S * SECOND_NS, len(sids))
        data = samples_batch(np.tile(sids, count), time_ns, value.ravel())
        frame = Frame(
            kind=FrameKind.SAMPLES,
            payload=encode_batch(data),
            rows=data.num_rows,
            tenant="main",
            time_ns=int(time_ns[-1]),
            source=Source.RECEIVED,
        )
        yield Position(0, number), frame


def main() -> None:
    """Build a history, replay it, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--quick", action="store_true", help="2,000 series")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    series = 2_000 if given.quick else given.series
    steps = int(given.hours * 3600 / STEP_S)
    with tempfile.TemporaryDirectory(prefix="twofold-backtest-") as folder:
        home = Path(folder)
        ledger, blobs = open_ledger(home / "ledger.sqlite"), FileBlobs(home / "blobs")
        catalog, history = FileCatalog(home / "catalog"), DeltaHistory(home / "history")
        Released(ledger, blobs).ensure()
        sids = np.array(
            [
                catalog.register(
                    "process.cpu.utilization",
                    {"service.name": f"s{n // 20}", "core": str(n % 20)},
                    entity=f"service:s{n // 20}",
                    tenant="main",
                    unit="1",
                    origin=Origin.METRIC,
                )[0]
                for n in range(series)
            ]
        )
        for position, frame in frames(sids, steps):
            history.append(0, [(position, frame)])
        history.flush()
        backtests = Backtests(ledger, blobs, history, catalog, correlate=CorrelateConfig(), lateness_s=6.0)
        start = to_datetime(BEGAN_NS)
        asked = Backtest(
            id="b",
            model="panel",
            version="1",
            start=start,
            end=start + timedelta(hours=given.hours),
            warm_up_s=0.0,
            requester="benchmark",
            created=start,
        )
        figures = backtests.judge(asked).figures
        if figures is None:
            raise SystemExit("the backtest gave no figures")
        history.close()
        ledger.close()
    found = {
        "points_per_s": round(figures.points / figures.seconds),
        "cpu_ns_per_point": round(figures.cpu_s / figures.points * 1e9),
        **{name: value for name, value in asdict(figures).items() if name in ("points", "series", "pages", "alerts")},
    }
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:18s}{value:>14,}")


if __name__ == "__main__":
    main()
