"""What a detector would have done: a version replayed over a period, held against what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from twofold.records.alert import Severity
from twofold.records.entity import DEFAULT_TENANT


class BacktestState(StrEnum):
    """Life of a backtest."""

    REQUESTED = "requested"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Something known of a period.

    Attributes:
        name: What it is called in the report: a fault's name, an incident's id.
        entities: Who counts as its cause; empty when nobody said.
        noise: It was not worth a page: a page inside of it is false.
    """

    name: str
    start: datetime
    end: datetime
    entities: tuple[str, ...] = field(default_factory=tuple)
    noise: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One incident that would have paged.

    Attributes:
        incident: The id that it has in the replay.
        suspect: Entity named first, empty without a diagnosis.
        entities: Who has an alert in it, in order of onset.
        rank: Place of the label's cause among the suspects, 1 first; 0 when it is not among them or not known.
        label: Name of the label it falls into, empty when nothing is known of that time.
        noise: The label says that it was not worth a page.
    """

    incident: str
    title: str
    severity: Severity
    start: datetime
    detected: datetime
    alerts: int
    suspect: str = ""
    rank: int = 0
    label: str = ""
    noise: bool = False
    entities: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A label that no page fell into."""

    name: str
    start: datetime
    entities: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """The part of a backtest that is about one kind of entity.

    Attributes:
        kind: `service`, `host`, `database`, `model` …; empty where nobody said who the cause was.
        labels, found, first: Labels whose cause is of this kind; of them with a page; with the cause named first.
        noise: Pages that a label calls false, whose first suspect is of this kind.
        pages: Pages whose first suspect is of this kind.
        median_delay_s: As of all.
    """

    kind: str
    labels: int
    found: int
    first: int
    noise: int
    pages: int
    median_delay_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A backtest in numbers.

    Attributes:
        points, series: Judged, warm-up included.
        seconds, cpu_s: What the replay took, by the clock and of one core.
        findings, alerts, pages: What was made inside of the period.
        labels: Labels that wanted a page.
        found, first: Of them, with a page; with the cause named first.
        median_delay_s: From a label's start to its first page; None when nothing was found.
        noise: Pages that a label calls false. Pages at times nobody labelled are `pages` less the others.
        repeats: Further pages for a label that has one.
        observed_s: Time of the period that has samples; a hole counts 15 minutes at most.
        pages_per_week: All pages, at the rate of the time observed.
        cpu_s_per_day: Cost of one day of this telemetry.
        classes: The same by kind of entity.
        outside: Labels given that do not touch the period; they do not count.
    """

    points: int
    series: int
    seconds: float
    cpu_s: float
    findings: int
    alerts: int
    pages: int
    labels: int
    found: int
    first: int
    noise: int
    repeats: int
    pages_per_week: float
    cpu_s_per_day: float
    median_delay_s: float | None = None
    classes: tuple[ClassFigures, ...] = field(default_factory=tuple)
    observed_s: float = 0.0
    outside: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOutcome:
    """What became of one rule of a rule file.

    Attributes:
        name: Of the alert, or of the series that it records.
        records: Whether it is a recording rule.
        line: Where it begins in the file, from 1.
        refused: Why it was not replayed; empty for one that was.
        note: What else there is to say.
        fired: How often an alert would have fired.
        series: How many series a recording made.
    """

    name: str
    records: bool
    group: str
    line: int
    refused: str = ""
    note: str = ""
    fired: int = 0
    series: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """One replay of a detector version over a period: what would have paged, what would have been missed.

    Attributes:
        model, version: The registered version that was replayed; `rules` and a hash for alert rules that are not
            registered.
        rules: Text of a Prometheus rule file that is replayed instead of a detector.
        outcomes: What became of each of its rules, in the order of the file.
        start, end: Period whose pages count, [start, end).
        warm_up_s: Telemetry before `start` that the detector learns from first; its pages do not count.
        labels: What is known of the period; when none are given, what verdicts say of its incidents.
        done: Share of the period replayed so far, 0 to 1.
        error: Why it failed.
        pages: At most 500, oldest first.
    """

    id: str
    model: str
    version: str
    start: datetime
    end: datetime
    warm_up_s: float
    requester: str
    created: datetime
    state: BacktestState = BacktestState.REQUESTED
    labels: tuple[Label, ...] = field(default_factory=tuple)
    done: float = 0.0
    error: str = ""
    figures: Figures | None = None
    rules: str = ""
    pages: tuple[Page, ...] = field(default_factory=tuple)
    missed: tuple[Missed, ...] = field(default_factory=tuple)
    outcomes: tuple[RuleOutcome, ...] = field(default_factory=tuple)
    tenant: str = DEFAULT_TENANT
