"""The chained record of what was done: each entry's hash covers the entry and the hash before it.

Who acts appends first and acts second; an act whose entry cannot be written does not happen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

import orjson

from twofold.errors import Corrupt
from twofold.records.access import Audit
from twofold.store.ledger import Ledger

GENESIS: Final = "0" * 64  # stands for the hash before the first entry


def append_audit(
    ledger: Ledger, *, actor: str, action: str, target: str, tenant: str, detail: Mapping[str, str] | None = None
) -> Audit:
    """Append one entry to the tenant's chain, durable when it returns; when it raises, do not act."""

    def build(previous: Audit | None) -> Audit:
        seq = previous.seq + 1 if previous else 1
        entry = Audit(
            id=f"{seq:012d}",
            seq=seq,
            time=datetime.now(UTC),
            actor=actor,
            action=action,
            target=target,
            previous_sha256=previous.sha256 if previous else GENESIS,
            sha256="",
            detail=dict(detail or {}),
            tenant=tenant,
        )
        return _sealed(entry)

    return ledger.append_next(Audit, build, tenant=tenant, where={})


def check_chain(entries: Iterable[Audit], previous_sha256: str = GENESIS) -> str:
    """Verify entries in order of `seq` and return the last hash, to go on from with the next page.

    Raises:
        Corrupt: An entry was changed, removed or put in between.
    """
    for entry in entries:
        if entry.previous_sha256 != previous_sha256 or _sealed(entry).sha256 != entry.sha256:
            raise Corrupt(f"audit entry {entry.seq} does not follow from the one before it", seq=entry.seq)
        previous_sha256 = entry.sha256
    return previous_sha256


def _sealed(entry: Audit) -> Audit:
    facts = asdict(entry) | {"sha256": "", "detail": dict(entry.detail), "time": entry.time.astimezone(UTC).isoformat()}
    digest = hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return Audit(**{name: getattr(entry, name) for name in facts} | {"sha256": digest})
