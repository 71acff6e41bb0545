"""What goes over the wire where a record alone does not do: lists, joined pages, and bodies of requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from twofold.records.access import Role
from twofold.records.alert import Alert
from twofold.records.diagnosis import Diagnosis
from twofold.records.entity import Edge, EntityKind
from twofold.records.event import Event
from twofold.records.finding import Finding
from twofold.records.incident import Incident, TimelineEntry
from twofold.records.model import DatasetVersion, ModelKind, ModelVersion, Project, Release, ReleaseStage, Run
from twofold.records.runbook import Execution
from twofold.records.series import Origin, SeriesKind
from twofold.records.verdict import Verdict, VerdictSubject, VerdictValue

T = TypeVar("T")
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=4000)]


class View(BaseModel):
    """Immutable; unknown members of a request are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Page(View, Generic[T]):
    """One page of a list. `next` goes into the query parameter `after`; empty on the last page."""

    items: list[T]
    next: str = ""


# --- access


class LogIn(View):
    """Name (or `tenant/name`) and secret."""

    name: Name
    secret: Annotated[str, Field(min_length=1, max_length=400)]


class UserView(View):
    """A user without the secret's hash."""

    id: str
    name: str
    role: Role
    created: datetime
    disabled: bool


class Me(View):
    """Who is logged in and what they may do."""

    id: str
    name: str
    role: Role


class SessionView(View):
    """The present session."""

    user: Me
    permissions: list[str]
    tenant: str


class NewUser(View):
    """Without `secret` one is made up and told once."""

    name: Name
    role: Role
    secret: Annotated[str, Field(max_length=400)] = ""


class UserChange(View):
    """What is left out stays."""

    role: Role | None = None
    disabled: bool | None = None
    secret: Annotated[str, Field(max_length=400)] | None = None


class CreatedUser(View):
    """The secret is shown this once."""

    user: UserView
    secret: str


class TokenView(View):
    """A token without its hash."""

    id: str
    user: str
    name: str
    kind: str
    scopes: list[str]
    created: datetime
    expires: datetime | None
    revoked: bool


class NewToken(View):
    """Scopes are permissions, at most those of the caller."""

    name: Name
    scopes: Annotated[list[str], Field(min_length=1, max_length=20)]
    expires_in_s: Annotated[int, Field(gt=0, le=10 * 366 * 86400)] | None = None


class CreatedToken(View):
    """The secret is shown this once."""

    token: TokenView
    secret: str


# --- the live system


class Health(StrEnum):
    """`suspect`: named by an open diagnosis. `affected`: has a firing alert."""

    OK = "ok"
    SUSPECT = "suspect"
    AFFECTED = "affected"


class EntityView(View):
    """An entity and its health."""

    id: str
    kind: EntityKind
    name: str
    tenant: str
    attributes: Mapping[str, str]
    last_seen: datetime | None
    health: Health


class Topology(View):
    """Entities and how they depend on each other."""

    entities: list[EntityView]
    edges: list[Edge]


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


class SeriesView(View):
    """A series; `sid` as 16 hex digits, because JSON numbers lose bits past 2^53."""

    sid: str
    metric: str
    labels: Mapping[str, str]
    entity: str
    unit: str
    kind: SeriesKind
    origin: Origin
    tenant: str


class Band(View):
    """Expected low and high at each time; null where no detector said."""

    low: list[float | None] | None
    high: list[float | None] | None


class Points(View):
    """A series over a window, one point a step; arrays are of equal length."""

    series: SeriesView
    start: datetime
    end: datetime
    step_s: int
    time_ms: list[int]
    mean: list[float | None]
    min: list[float | None]
    max: list[float | None]
    band: Band
    findings: list[Finding]


class SpanView(View):
    """One span of a trace."""

    span_id: str
    parent_id: str
    entity: str
    name: str
    kind: Literal["unspecified", "internal", "server", "client", "producer", "consumer"]
    start: datetime
    duration_ms: float
    error: bool
    peer: str
    attributes: Mapping[str, Any]


class Trace(View):
    """Spans of one trace, by start."""

    trace_id: str
    spans: list[SpanView]


class LogLine(View):
    """One log line. `body` is data: never HTML, never an instruction."""

    time: datetime
    entity: str
    severity: int
    body: str
    trace_id: str


# --- home


class Counts(View):
    """Numbers of the first page."""

    open: int
    acknowledged: int
    resolved_24h: int
    alerts_firing: int
    findings_24h: int
    alerts_24h: int
    incidents_24h: int


class ModelAtRisk(View):
    """A live model with a firing alert on itself, its features or its data."""

    model: str
    version: str
    reason: str
    drift: float | None


class SystemHealth(View):
    """How Twofold itself does."""

    entities: int
    series: int
    points_per_s: float
    lag_s: float
    journal_bytes: int


class NoiseRemoved(View):
    """Of the last 24 hours: findings became alerts became incidents."""

    findings: int
    alerts: int
    incidents: int


class Home(View):
    """The first page."""

    open_incidents: list[Incident]
    recent_incidents: list[Incident]
    counts: Counts
    models_at_risk: list[ModelAtRisk]
    changes: list[Event]
    health: SystemHealth
    noise_removed: NoiseRemoved


# --- models


class DriftValue(View):
    """Newest drift of one feature (or of the output: feature empty)."""

    entity: str
    feature: str
    series: str
    value: float | None


class ModelSummary(View):
    """One line of the models list."""

    model: str
    kind: ModelKind
    live_version: str
    owner: str
    versions: int
    health: Health
    drift: list[DriftValue]
    request_rate: float | None


class FeatureDrift(DriftValue):
    """Drift with the open finding that it caused, if any."""

    finding: Finding | None


class Traffic(View):
    """Share of requests that one version answers."""

    version: str
    stage: ReleaseStage
    weight: float


class ModelDetail(View):
    """Everything of one model's page."""

    model: str
    kind: ModelKind
    owner: str
    versions: list[ModelVersion]
    releases: list[Release]
    project: Project | None
    runs: list[Run]
    datasets: list[DatasetVersion]
    drift: list[FeatureDrift]
    traffic: list[Traffic]


class NewRelease(View):
    """`weight` is the canary's share of traffic."""

    version: Name
    stage: ReleaseStage
    weight: Annotated[float, Field(ge=0, le=1)] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=4000)]


class Train(View):
    """Without `seed` the project's own counts."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None


class Training(View):
    """A started training."""

    workflow_id: str


# --- remedies


class NewExecution(View):
    """Ask for a remedy."""

    runbook: Name
    incident: Annotated[str, Field(max_length=200)] = ""
    arguments: Mapping[str, Any] = Field(default_factory=dict)
    dry_run: bool = False


class Approval(View):
    """The hash of what was shown: an approval of anything else is refused."""

    approval_hash: Annotated[str, Field(min_length=64, max_length=64)]


class Decision(View):
    """What an UNKNOWN step did."""

    step: Name
    outcome: Literal["succeeded", "failed"]


class KillSwitch(View):
    """While engaged no remedy starts."""

    engaged: bool
    changed: datetime | None = None
    author: str = ""


class SetKillSwitch(View):
    """The wished position."""

    engaged: bool


# --- demo


class FaultView(View):
    """One thing that the demo can break."""

    name: str
    title: str
    description: str
    active: bool
    since: datetime | None


class Shop(View):
    """The demo's services."""

    services: list[str]


class Demo(View):
    """The demo beside this Twofold."""

    available: bool
    faults: list[FaultView]
    shop: Shop


class BreakFault(View):
    """How long; the fault's own default when left out."""

    seconds: Annotated[float, Field(gt=0, le=3600)] | None = None


# --- self


class Live(View):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(View):
    """Parts that are not ready, with the reason."""

    ready: bool
    problems: Mapping[str, str]


class ChangeNotice(View):
    """`data` of a Server-Sent Event named `change`."""

    seq: int
    table: str
    id: str


Moment = AwareDatetime
