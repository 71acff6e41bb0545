"""Joint 5: verdicts are labels. What operators say becomes an immutable, content-addressed dataset version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa

from twofold.errors import NotFound
from twofold.mlops.data.snapshot import snapshot_table
from twofold.records.alert import Alert
from twofold.records.diagnosis import Diagnosis
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.finding import Finding
from twofold.records.model import DatasetVersion
from twofold.records.verdict import Verdict, VerdictSubject
from twofold.store.blobs import Blobs
from twofold.store.ledger import Ledger

DATASET: Final = "verdicts"
_PAGE: Final = 1000
SCHEMA: Final = pa.schema(
    [
        ("verdict", pa.string()),
        ("subject", pa.string()),
        ("ref", pa.string()),
        ("incident", pa.string()),
        ("value", pa.string()),
        ("author", pa.string()),
        ("time_ns", pa.int64()),
        ("entity", pa.string()),
        ("signal", pa.string()),
        ("score", pa.float64()),
        ("effect", pa.float64()),
        ("rank", pa.int32()),
        ("claimed_by", pa.string()),
    ]
)


def verdict_table(ledger: Ledger, *, tenant: str = DEFAULT_TENANT) -> pa.Table:
    """Every verdict that counts, with what was claimed: schema `SCHEMA`, sorted by verdict id.

    Of several by one author on one subject only the last counts. `rank` is the suspect's place (1 first), 0 elsewhere;
    `claimed_by` the detector or ranker that made the claim.
    """
    latest: dict[tuple[str, str, str, str], Verdict] = {}
    for verdict in _all(ledger, tenant):
        latest[verdict.author, verdict.subject, verdict.ref, verdict.incident] = verdict
    rows = [_row(ledger, verdict) for verdict in sorted(latest.values(), key=lambda one: one.id)]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def snapshot_verdicts(
    ledger: Ledger, blobs: Blobs, *, tenant: str = DEFAULT_TENANT, now: datetime | None = None
) -> DatasetVersion:
    """The verdicts as they stand, as a dataset version; the same verdicts give the same version."""
    table = verdict_table(ledger, tenant=tenant)
    version = snapshot_table(
        DATASET, table, blobs, now=now or datetime.now(UTC), source="ledger:verdicts", tenant=tenant
    )
    try:
        return ledger.get(DatasetVersion, version.id, tenant=tenant)
    except NotFound:
        ledger.put(version)
        return version


def _all(ledger: Ledger, tenant: str) -> Iterator[Verdict]:
    after = ""
    while True:
        page: Sequence[Verdict] = ledger.find(Verdict, tenant=tenant, limit=_PAGE, after=after, newest_first=False)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].id


def _row(ledger: Ledger, verdict: Verdict) -> dict[str, object]:
    row: dict[str, object] = {
        "verdict": verdict.id,
        "subject": verdict.subject.value,
        "ref": verdict.ref,
        "incident": verdict.incident,
        "value": verdict.value.value,
        "author": verdict.author,
        "time_ns": int(verdict.time.timestamp() * 1e6) * 1000,
        "entity": "",
        "signal": "",
        "score": 0.0,
        "effect": 0.0,
        "rank": 0,
        "claimed_by": "",
    }
    try:
        if verdict.subject is VerdictSubject.ALERT:
            row |= _alert_facts(ledger, verdict)
        elif verdict.subject is VerdictSubject.SUSPECT:
            row |= _suspect_facts(ledger, verdict)
    except NotFound:
        pass  # what was claimed has expired; the judgement itself still counts
    return row


def _alert_facts(ledger: Ledger, verdict: Verdict) -> dict[str, object]:
    alert = ledger.get(Alert, verdict.ref, tenant=verdict.tenant)
    facts: dict[str, object] = {"entity": alert.entity, "signal": alert.signal, "score": alert.score}
    if alert.findings:
        finding = ledger.get(Finding, alert.findings[-1], tenant=verdict.tenant)
        facts |= {"effect": finding.effect, "claimed_by": finding.detector}
    return facts


def _suspect_facts(ledger: Ledger, verdict: Verdict) -> dict[str, object]:
    diagnosis = ledger.get(Diagnosis, verdict.incident, tenant=verdict.tenant)
    for rank, suspect in enumerate(diagnosis.suspects, 1):
        if suspect.entity == verdict.ref:
            return {"entity": suspect.entity, "score": suspect.score, "rank": rank, "claimed_by": diagnosis.ranker}
    return {"entity": verdict.ref, "claimed_by": diagnosis.ranker}
