"""What operators say of alerts, groups, suspects and executions: labels for the next candidate."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Final

from twofold.api.router import After, Caller, Filter, Limit, Svc, page, router, where
from twofold.api.rules import needs
from twofold.api.views.incidents import NewVerdict
from twofold.api.views.page import Page
from twofold.errors import InputError
from twofold.records.access import Permission
from twofold.records.alert import Alert
from twofold.records.diagnosis import Diagnosis
from twofold.records.incident import Incident, TimelineEntry, TimelineKind
from twofold.records.runbook import Execution
from twofold.records.verdict import Verdict, VerdictSubject, VerdictValue
from twofold.store.ledger import Ledger

routes = router("verdicts")

_JUDGED: Final = {
    VerdictSubject.ALERT: Alert,
    VerdictSubject.GROUP: Incident,
    VerdictSubject.EXECUTION: Execution,
}
_WORDS: Final = {VerdictValue.RIGHT: "right", VerdictValue.WRONG: "wrong", VerdictValue.NOISE: "noise"}


@routes.get("/verdicts", operation_id="list_verdicts", openapi_extra=needs(Permission.READ))
def list_verdicts(
    caller: Caller,
    services: Svc,
    incident: Filter = "",
    subject: VerdictSubject | None = None,
    ref: Filter = "",
    limit: Limit = 100,
    after: After = "",
) -> Page[Verdict]:
    """Newest first; of one author on one subject the newest counts."""
    conditions = where(incident=incident, subject=subject, ref=ref)
    return page(services.ledger, Verdict, tenant=caller.tenant, limit=limit, after=after, conditions=conditions)


@routes.post(
    "/verdicts",
    operation_id="give_verdict",
    status_code=201,
    openapi_extra=needs(Permission.RESPOND, "subject", "ref", "value"),
)
def give_verdict(body: NewVerdict, caller: Caller, services: Svc) -> Verdict:
    """Judge a claim. Refused when what is judged does not exist."""
    _check_subject(services.ledger, body, caller.tenant)
    verdict = Verdict(
        id=uuid.uuid4().hex,
        subject=body.subject,
        ref=body.ref,
        incident=body.incident,
        value=body.value,
        author=caller.name,
        time=datetime.now(UTC),
        note=body.note,
        tenant=caller.tenant,
    )
    line = TimelineEntry(
        id=f"verdict-{verdict.id}",
        incident=body.incident,
        time=verdict.time,
        kind=TimelineKind.VERDICT,
        text=f"{caller.name} says the {body.subject.value} {body.ref} is {_WORDS[body.value]}"
        + (f": {body.note}" if body.note else ""),
        entity=body.ref if body.subject is VerdictSubject.SUSPECT else "",
        actor=caller.name,
        ref=verdict.id,
        tenant=caller.tenant,
    )
    services.ledger.put(verdict, line)
    return verdict


def _check_subject(ledger: Ledger, body: NewVerdict, tenant: str) -> None:
    """Raises `NotFound` or `InputError` when the judged thing is not there."""
    ledger.get(Incident, body.incident, tenant=tenant)
    if kind := _JUDGED.get(body.subject):
        ledger.get(kind, body.ref, tenant=tenant)
        return
    diagnosis = ledger.get(Diagnosis, body.incident, tenant=tenant)
    suspects = [suspect.entity for suspect in diagnosis.suspects]
    if body.ref not in suspects:
        raise InputError(f"{body.ref!r} is not a suspect of {body.incident!r}; its suspects are {', '.join(suspects)}")
