"""CPU of the stages that read spans and log lines, in ns a row: what attribution and mining cost beside the others.

    python -m benchmarks.stages [--quick] [--json]

One thread, process time, no journal and no HTTP (`benchmarks.signals` has those). Spans are traces of ten over five
services and two databases, 4,000 a second of event time; lines have five values each. The first seconds are not
counted: kernels are compiled then. Keys: `span_<stage>_ns`, `line_<stage>_ns`, `span_ns`, `line_ns`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pyarrow as pa

from twofold.aiops.detect.lograte import LogRate
from twofold.aiops.detect.mining.stage import Mining
from twofold.aiops.detect.red import Red
from twofold.aiops.detect.traces.stage import Traces
from twofold.aiops.topology.learn import Topology
from twofold.flow.stage import Stage
from twofold.records.columns import LOGS, SPANS, Batch, Logs, Spans
from twofold.records.time import SECOND_NS
from twofold.store.catalog.files import FileCatalog

START_NS: Final = 1_767_225_600 * SECOND_NS
WARM_S: Final = 12
HOPS: Final = (
    # service, kind, operation, parent, peer
    ("gateway", 2, "POST /checkout", -1, ""),
    ("gateway", 3, "POST", 0, "service:checkout.shop.svc"),
    ("checkout", 2, "POST /api", 1, ""),
    ("checkout", 3, "SELECT orders", 2, "database:orders"),
    ("checkout", 3, "POST", 2, "service:payment.shop.svc"),
    ("payment", 2, "POST /charge", 4, ""),
    ("payment", 3, "GET", 5, "database:cards"),
    ("checkout", 3, "POST", 2, ""),  # names no peer: only the join finds it
    ("stock", 2, "POST /reserve", 7, ""),
    ("mailer", 2, "POST /mail", 2, ""),
)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 s of event time instead of 60")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args()
    seconds = WARM_S + (10 if given.quick else 60)
    with TemporaryDirectory() as folder:
        catalog = FileCatalog(Path(folder))
        of_spans: list[Stage] = [Topology(), Red(catalog), Traces(catalog), LogRate(catalog)]
        of_lines: list[Stage] = [Topology(), LogRate(catalog), Mining(catalog)]
        found = measure("span", of_spans, spans, seconds) | measure("line", of_lines, lines, seconds)
    if given.json:
        print(json.dumps(found))
        return
    for key, value in found.items():
        print(f"{key:24}{value:>10,.0f}")


def measure(
    what: str, stages: list[Stage], make: Callable[[np.random.Generator, int], list[Batch]], seconds: int
) -> dict[str, float]:
    """CPU of each stage over the rows of so many seconds."""
    chance = np.random.default_rng(1)
    spent = dict.fromkeys((stage.name for stage in stages), 0.0)
    rows = 0
    for second in range(seconds):
        batches = make(chance, second)
        counts = second >= WARM_S
        rows += counts * sum(batch.data.num_rows for batch in batches)
        for stage in stages:
            began = time.process_time()
            for batch in batches:
                stage.process([batch])
            stage.advance(START_NS + (second - 2) * SECOND_NS)
            spent[stage.name] += counts * (time.process_time() - began)
    each = {f"{what}_{name}_ns": cpu_s / rows * 1e9 for name, cpu_s in spent.items()}
    return each | {f"{what}_ns": sum(each.values())}


def spans(chance: np.random.Generator, second: int) -> list[Batch]:
    """Eight requests of five hundred traces."""
    return [_spans(chance, second, traces=500) for _ in range(8)]


def _spans(chance: np.random.Generator, second: int, *, traces: int) -> Spans:
    many = traces * len(HOPS)
    ids = chance.integers(1, 1 << 62, many)
    first = np.repeat(np.arange(traces) * len(HOPS), len(HOPS))
    parent = np.tile([hop[3] for hop in HOPS], traces)
    trace = [f"{high:016x}{low:016x}" for high, low in chance.integers(1, 1 << 62, (traces, 2)).tolist()]
    start_ns = START_NS + second * SECOND_NS + np.repeat(chance.integers(0, SECOND_NS, traces), len(HOPS))
    columns = {
        "trace_id": np.repeat(trace, len(HOPS)).tolist(),
        "span_id": [f"{each:016x}" for each in ids.tolist()],
        "parent_id": [f"{ids[at + above]:016x}" if above >= 0 else "" for at, above in zip(first, parent, strict=True)],
        "entity": [f"service:{hop[0]}" for hop in HOPS] * traces,
        "name": [hop[2] for hop in HOPS] * traces,
        "kind": np.tile([hop[1] for hop in HOPS], traces).astype(np.int8),
        "start_ns": start_ns,
        "duration_ns": chance.lognormal(15, 1, many).astype(np.int64),
        "error": np.zeros(many, np.bool_),
        "peer": [hop[4] for hop in HOPS] * traces,
        "attributes": ["{}"] * many,
    }
    return Spans(data=_batch(columns, SPANS))


def lines(chance: np.random.Generator, second: int) -> list[Batch]:
    """Four requests of five thousand lines."""
    return [_lines(chance, second, many=5000) for _ in range(4)]


def _lines(chance: np.random.Generator, second: int, *, many: int) -> Logs:
    number, wait = chance.integers(10**9, size=many), chance.lognormal(3, 0.5, many)
    code, size = chance.choice([200, 404], many), chance.lognormal(8, 1, many)
    columns = {
        "time_ns": START_NS + second * SECOND_NS + np.sort(chance.integers(0, SECOND_NS, many)),
        "entity": [f"service:{each % 20}" for each in range(many)],
        "severity": np.where(chance.random(many) < 0.02, 17, 9).astype(np.int8),  # noqa: PLR2004 - one line in fifty
        "body": [
            f"request {a} took {b:.0f} ms, status={c}, wrote {d:.0f} B by worker {e % 9}"
            for e, (a, b, c, d) in enumerate(zip(number, wait, code, size, strict=True))
        ],
        "trace_id": [""] * many,
        "span_id": [""] * many,
        "attributes": ["{}"] * many,
    }
    return Logs(data=_batch(columns, LOGS))


def _batch(columns: Mapping[str, object], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        pa.array(columns[each.name]).dictionary_encode() if pa.types.is_dictionary(each.type) else columns[each.name]
        for each in schema
    ]
    return pa.record_batch(
        [pa.array(column).cast(each.type) for column, each in zip(arrays, schema, strict=True)], schema=schema
    )


if __name__ == "__main__":
    main()
