"""What a shadow costs beside the live detector: `python -m benchmarks.shadow [--series 10000,100000] [--json]`.

The same samples go through the detector and grouping, with a shadow and without, in turns in one run; what counts is
the processor time of the thread. Keys, by number of series: ns_per_point, ns_per_point_shadow, ratio (median of pairs).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from twofold.aiops.correlate.stage import Correlate
from twofold.aiops.detect.panel import Panel
from twofold.flow.pipeline import Pipeline
from twofold.flow.stage import Stage
from twofold.joints.shadow import Shadow
from twofold.records.columns import Samples, samples_batch
from twofold.records.frame import Lane
from twofold.records.series import Origin
from twofold.records.time import SECOND_NS
from twofold.store.catalog.files import FileCatalog

BEGAN_NS: Final = 1_760_000_000 * SECOND_NS
STEP_S: Final = 10
WARM: Final = 4
TICKS: Final = 12
PAIRS: Final = 3
BATCH: Final = 10_000
PER_ENTITY: Final = 20


def cost(folder: Path, series: int, *, shadow: bool) -> float:
    """Nanoseconds of processor time a point, once all series are known."""
    catalog = FileCatalog(folder)
    sids = np.array(
        [
            catalog.register(
                "process.cpu.utilization",
                {"core": str(number)},
                entity=f"service:s{number // PER_ENTITY}",
                tenant="main",
                unit="1",
                origin=Origin.METRIC,
            )[0]
            for number in range(series)
        ]
    )
    stages: list[Stage] = [Panel(catalog), Correlate()]
    if shadow:
        stages.append(Shadow(catalog, detector="panel@2"))
    pipeline = Pipeline(stages, lane=Lane.LIVE, lateness_ns=0)
    rng, taken, points = np.random.default_rng(1), 0.0, 0
    for tick in range(TICKS):
        now_ns = BEGAN_NS + tick * STEP_S * SECOND_NS
        value = 0.1 + 0.01 * rng.standard_normal(series)
        batches = [
            Samples(data=samples_batch(part, np.full(len(part), now_ns), value[first : first + BATCH]))
            for first in range(0, series, BATCH)
            if len(part := sids[first : first + BATCH])
        ]
        began = time.thread_time()
        for batch in batches:
            pipeline.push([batch], event_ns=now_ns, received_ns=now_ns)
        if tick >= WARM:
            taken += time.thread_time() - began
            points += series
    return taken / points * 1e9


def main() -> None:
    """Measure in pairs, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", default="10000,100000")
    parser.add_argument("--quick", action="store_true", help="2,000 series")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found: dict[str, float] = {}
    for series in [2_000] if given.quick else [int(each) for each in given.series.split(",")]:
        pairs = []
        for _ in range(PAIRS):
            with tempfile.TemporaryDirectory(prefix="twofold-shadow-") as folder:
                plain, beside = (cost(Path(folder) / str(on), series, shadow=on) for on in (False, True))
            pairs.append((plain, beside))
        found |= {
            f"ns_per_point.{series}": round(statistics.median(plain for plain, _ in pairs), 1),
            f"ns_per_point_shadow.{series}": round(statistics.median(beside for _, beside in pairs), 1),
            f"ratio.{series}": round(statistics.median(beside / plain for plain, beside in pairs), 3),
        }
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:30} {value:10,.2f}")


if __name__ == "__main__":
    main()
