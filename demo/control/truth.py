"""What really happened: one entry a fault, on an append-only file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from .faults import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One fault that was on.

    Attributes:
        id: `<fault>-<n>`.
        fault, kind: Its name and sort.
        entity: The true cause, empty for a decoy.
        accepted: All entities that count as right.
        service: Where it was switched; for a decoy, whose deploy was announced.
        started, ended: RFC 3339, UTC; `ended` is empty while it is on.
        ended_by: `remedy`, `expired`, `switched_off`, `shutdown`, or `failed` when it could not be switched on.
    """

    id: str
    fault: str
    kind: str
    entity: str
    accepted: tuple[str, ...]
    service: str
    started: str
    ended: str = ""
    ended_by: str = ""


class Truth:
    """The entries of this run, and the file they are added to: a line at the start, one more at the end."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._entries: dict[str, Entry] = {}
        self._count = _lines(path)

    def begin(self, fault: Fault, service: str) -> Entry:
        """Note that a fault is on from now."""
        self._count += 1
        entry = Entry(
            id=f"{fault.name}-{self._count}",
            fault=fault.name,
            kind=fault.kind,
            entity=fault.entity,
            accepted=tuple(fault.causes),
            service=service,
            started=now_text(),
        )
        self._write(entry)
        return entry

    def end(self, entry: Entry, ended_by: str) -> None:
        """Note that it is off from now."""
        self._write(replace(entry, ended=now_text(), ended_by=ended_by))

    def entries(self) -> list[dict[str, object]]:
        """All entries of this run, oldest first."""
        return [asdict(entry) for entry in self._entries.values()]

    def _write(self, entry: Entry) -> None:
        self._entries[entry.id] = entry
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry)) + "\n")


def now_text() -> str:
    """The wall clock, RFC 3339 with milliseconds, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)
