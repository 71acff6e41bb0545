"""Cases of the Nezha study (Online Boutique, Train Ticket): metrics, traces and logs around one injected fault."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from benchmarks.incidents.case import Case
from benchmarks.incidents.shift import Column

_NAMES = {
    "cpu": "cpu.usage", "cpurate": "cpu.utilization", "mem": "memory.usage", "memrate": "memory.utilization",
    "sysr": "disk.read", "sysw": "disk.write", "netrx": "network.receive", "nettx": "network.transmit",
    "clat90": "client.latency.p90", "clat95": "client.latency.p95", "clat99": "client.latency.p99",
    "slat90": "latency.p90", "slat95": "latency.p95", "slat99": "latency.p99", "load": "request.rate",
}  # fmt: skip
_EDGE = re.compile(r"^(?P<callee>.+)_edge(?:sou|des)-(?P<caller>.+)$")


def load(folder: Path, *, system: str) -> Case:
    """Read one case folder."""
    facts = json.loads((folder / "case.json").read_text())
    return Case(
        id=facts["id"],
        system=system,
        true=facts["root_cause_service"],
        columns=_columns(pa_csv.read_csv(folder / "metrics.csv.gz")),
        edges=[(caller, callee) for caller, callee in facts["edges"]],
        spans=_table(folder / "traces.csv.gz"),
        logs=_table(folder / "logs.csv.gz"),
    )


def load_normal(folder: Path) -> dict[str, list[pa.Table]]:
    """The fault-free minutes of a system, by file name."""
    found: dict[str, list[pa.Table]] = {}
    for path in sorted(folder.glob("_faultfree-*/*.csv.gz")):
        table = _table(path)
        if table is not None:
            found.setdefault(path.name, []).append(table)
    return found


def _table(path: Path) -> pa.Table | None:
    return pa_csv.read_csv(path) if path.exists() else None


def _columns(table: pa.Table) -> list[Column]:
    times_s = table.column("t_s").to_numpy().astype(np.float64)
    later = times_s >= 0
    found = []
    for name in table.column_names:
        entity, metric, callee = _name(name)
        if metric:
            values = np.asarray(table.column(name).to_numpy(zero_copy_only=False), np.float64)
            found.append(Column(entity, metric, values[~later], values[later], times_s[later], callee))
    return found


def _name(column: str) -> tuple[str, str, str]:
    edge = _EDGE.match(column)
    if edge:
        return edge["caller"], "edge.latency.p50", edge["callee"]
    entity, _, metric = column.rpartition("_")
    return entity, _NAMES.get(metric, ""), ""
