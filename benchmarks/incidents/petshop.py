"""Cases of the PetShop study: five-minute metrics and the call graph of an application on AWS, one issue each."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.incidents.case import Case
from benchmarks.incidents.shift import Column, Floats

_STEP_S = 300.0
_NAMES = {
    ("latency", "p50"): "latency.p50", ("latency", "p90"): "latency.p90", ("latency", "p95"): "latency.p95",
    ("latency", "p99"): "latency.p99", ("latency", "Average"): "latency.mean",
    ("availability", "Average"): "error_ratio", ("requests", "Sum"): "request.rate",
}  # fmt: skip


def load(folder: Path) -> Iterator[Case]:
    """All issues below the folder."""
    edges = _edges(folder / "graph.csv")
    normal = _table(folder / "noissue" / "metrics.csv.gz")
    for path in sorted(folder.glob("*/issue_*/metrics.csv")):
        facts = json.loads((path.parent / "target.json").read_text())
        name = path.parent.relative_to(folder).as_posix()
        columns = list(_columns(normal, _table(path), float(facts["target"]["timestamp"])))
        yield Case(id=name, system="petshop", true=facts["root_cause"]["node"], columns=columns, edges=edges)


def _columns(
    normal: tuple[Floats, dict[tuple[str, str], Floats]],
    issue: tuple[Floats, dict[tuple[str, str], Floats]],
    at_s: float,
) -> Iterator[Column]:
    times_s = issue[0] - at_s
    later = times_s >= -_STEP_S  # a point is stamped with the start of its five minutes
    for (entity, metric), before in normal[1].items():
        after = issue[1].get((entity, metric))
        if after is not None:
            yield Column(entity, metric, before, after[later], times_s[later])


def _table(path: Path) -> tuple[Floats, dict[tuple[str, str], Floats]]:
    """Times, and values by (node, metric)."""
    raw = path.read_bytes()
    text = gzip.decompress(raw).decode() if path.suffix == ".gz" else raw.decode()
    entities, metrics, statistics, _, *rows = csv.reader(io.StringIO(text))
    times_s = np.array([float(row[0]) for row in rows])
    values = np.array([[float(cell) if cell else np.nan for cell in row[1:]] for row in rows])
    columns = {}
    for i, (entity, metric, statistic) in enumerate(zip(entities[1:], metrics[1:], statistics[1:], strict=True)):
        name = _NAMES.get((metric, statistic))
        if name:
            columns[entity, name] = 1.0 - values[:, i] / 100.0 if name == "error_ratio" else values[:, i]
    return times_s, columns


def _edges(path: Path) -> list[tuple[str, str]]:
    header, *rows = csv.reader(io.StringIO(path.read_text()))
    return [
        (row[0], callee)
        for row in rows
        for callee, cell in zip(header[1:], row[1:], strict=True)
        if cell and float(cell)
    ]
