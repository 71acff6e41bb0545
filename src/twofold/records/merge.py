"""How a stage's view of a record meets what people wrote into the stored one.

Stages rewrite alerts and incidents as telemetry moves; people acknowledge, assign and close them.
Whoever writes a stage's record to the ledger applies `merge(ours, stored)` first, in one transaction.

    field                    who wins
    owner, summary           people: what is stored stays once set
    state acknowledged       stays while the stage says firing or open
    state resolved by hand   stays until an alert joins that the stored incident did not know: then it is open again
    opened (of a finding)    whoever wrote it first
    everything else          the stage, last write wins
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from twofold.records.alert import Alert, AlertState
from twofold.records.finding import Finding
from twofold.records.incident import Incident, IncidentState

R = TypeVar("R")


def merge(ours: R, stored: R | None) -> R:
    """The record to write: the stage's `ours`, with the fields that others own taken from `stored`.

    Types without such fields come back as they are.
    """
    if isinstance(ours, Incident) and isinstance(stored, Incident):
        return merge_incident(ours, stored)  # type: ignore[return-value]  # R is Incident here
    if isinstance(ours, Alert) and isinstance(stored, Alert):
        return merge_alert(ours, stored)  # type: ignore[return-value]  # R is Alert here
    if isinstance(ours, Finding):
        first = stored if isinstance(stored, Finding) else ours
        return replace(ours, opened=first.opened or first.seen)
    return ours


def merge_alert(ours: Alert, stored: Alert) -> Alert:
    """An acknowledged alert stays acknowledged while it fires."""
    if ours.state is AlertState.FIRING and stored.state is AlertState.ACKNOWLEDGED:
        return replace(ours, state=AlertState.ACKNOWLEDGED)
    return ours


def merge_incident(ours: Incident, stored: Incident) -> Incident:
    """Owner, summary, acknowledgement and a close by hand stay as people set them; a new alert reopens."""
    state, end = ours.state, ours.end
    if stored.state is IncidentState.RESOLVED and set(ours.alerts) <= set(stored.alerts):
        state, end = stored.state, stored.end
    elif stored.state is IncidentState.ACKNOWLEDGED and ours.state is IncidentState.OPEN:
        state = stored.state
    return replace(ours, state=state, end=end, owner=stored.owner or ours.owner, summary=stored.summary or ours.summary)
