"""Reads a folder of labelled systems laid out like Loghub-2k, and makes long streams of it."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]
LABELS = "_2k.labels_corrected.csv"
LINES = "_2k.log_structured.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Lines of one system, and the template that wrote each.

    Attributes:
        content: The message of each line, without the header.
        truth: Corrected template of each line.
        original: Template as first published, or the corrected one where there is none.
    """

    name: str
    content: tuple[str, ...]
    truth: tuple[str, ...]
    original: tuple[str, ...]


def default_folder() -> Path:
    """Where the labelled systems are, when nobody says."""
    return Path(os.environ.get("TWOFOLD_DATA", HERE.parent / "shared" / "data")) / "logs"


def load(folder: Path) -> list[System]:
    """All systems of the folder, by name.

    Raises:
        FileNotFoundError: No labelled system there, or one without lines.
    """
    paths = sorted(path for path in folder.glob(f"*{LABELS}*") if path.suffix in {".csv", ".gz"})
    if not paths:
        raise FileNotFoundError(f"no *{LABELS}[.gz] in {folder}: set TWOFOLD_DATA or --data")
    return [_system(path) for path in paths]


def _system(path: Path) -> System:
    name = path.name.split("_2k")[0]
    rows = list(_rows(path.with_name(path.name.replace(LABELS, LINES))))
    truth = tuple(row["EventTemplate_corrected"] for row in _rows(path))
    if len(rows) != len(truth):
        raise ValueError(f"{name} has {len(rows)} lines and {len(truth)} labels; they join on LineId")
    return System(
        name=name,
        content=tuple(row["Content"] for row in rows),
        truth=truth,
        original=tuple(row.get("EventTemplate", label) for row, label in zip(rows, truth, strict=True)),
    )


def _rows(path: Path) -> Iterator[Mapping[str, str]]:
    with (
        gzip.open(path, "rt", encoding="utf-8", newline="")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8", newline="") as lines
    ):
        yield from csv.DictReader(lines)
