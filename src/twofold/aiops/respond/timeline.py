"""Lines of an incident's timeline that tell of its remedies."""

from __future__ import annotations

import hashlib
from datetime import datetime

from twofold.errors import NotFound
from twofold.records.incident import TimelineEntry, TimelineKind
from twofold.records.runbook import Execution
from twofold.store.ledger import Ledger


def entry(
    execution: Execution, kind: TimelineKind, text: str, time: datetime, actor: str = "twofold", *, ref: str = ""
) -> TimelineEntry:
    """One line; its id depends on (execution, kind, ref, text), so telling it twice adds nothing."""
    key = f"{execution.tenant}|{execution.id}|{kind}|{ref}|{text}"
    return TimelineEntry(
        id=f"tl-{hashlib.sha256(key.encode()).hexdigest()[:20]}",
        incident=execution.incident,
        time=time,
        kind=kind,
        text=text,
        entity=execution.targets[0] if execution.targets else "",
        actor=actor,
        ref=execution.id,
        tenant=execution.tenant,
    )


def note(ledger: Ledger, line: TimelineEntry) -> None:
    """Write a line unless it stands already: a recovered workflow tells it again, at a later time."""
    try:
        ledger.get(TimelineEntry, line.id, tenant=line.tenant)
    except NotFound:
        ledger.put(line)
