"""Incidents and what people say of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from twofold.api.views.page import Name, Text, View
from twofold.api.views.topology import Topology
from twofold.records.alert import Alert
from twofold.records.diagnosis import Diagnosis
from twofold.records.finding import Finding
from twofold.records.incident import Incident, TimelineEntry
from twofold.records.runbook import Execution
from twofold.records.verdict import Verdict, VerdictSubject, VerdictValue


class IncidentDetail(View):
    """Everything of one incident's page."""

    incident: Incident
    merged_into: Incident | None
    """The incident that has its alerts now."""
    took_over: list[Incident]
    """Incidents whose alerts it took over."""
    alerts: list[Alert]
    findings: list[Finding]
    diagnosis: Diagnosis | None
    timeline: list[TimelineEntry]
    topology: Topology
    executions: list[Execution]
    verdicts: list[Verdict]


class Assign(View):
    """An empty owner takes the incident from everybody."""

    owner: Annotated[str, Field(max_length=200)]


class Note(View):
    """One line for the timeline."""

    text: Annotated[str, Field(min_length=1, max_length=4000)]


class Reason(View):
    """Why."""

    reason: Text = ""


class NewVerdict(View):
    """A judgement on an alert, a group, a suspect or an execution."""

    subject: VerdictSubject
    ref: Name
    incident: Name
    value: VerdictValue
    note: Text = ""
