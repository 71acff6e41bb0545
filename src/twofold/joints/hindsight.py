"""Held against what is known: which pages were wanted, which were noise, what was missed, and the figures of it.

Belongs to joint 1. What is known are labels: given by whoever asks, or what verdicts say of past incidents.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from twofold.errors import InputError, NotFound
from twofold.records.alert import Alert
from twofold.records.backtest import Backtest, ClassFigures, Figures, Label, Missed, Page, RuleOutcome
from twofold.records.diagnosis import Diagnosis
from twofold.records.finding import Finding
from twofold.records.incident import Incident
from twofold.records.verdict import Verdict, VerdictSubject, VerdictValue
from twofold.store.ledger import Ledger

GRACE: Final = timedelta(seconds=60)
"""A page this long after a label's end still belongs to it."""
_LIMIT: Final = 10_000
_ENTITIES: Final = 20
_WEEK_S: Final = 7 * 86_400.0
_LEAST_S: Final = 60.0  # a rate over less is that of a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came out of a replay; of records written several times the last.

    Attributes:
        observed_s, replayed_s: Time with samples, in the period and with the warm-up before it.
    """

    findings: dict[str, Finding]
    alerts: dict[str, Alert]
    incidents: dict[str, Incident]
    diagnoses: dict[str, Diagnosis]
    points: int
    series: int
    observed_s: float = 0.0
    replayed_s: float = 0.0
    outcomes: tuple[RuleOutcome, ...] = ()


def labels_of(ledger: Ledger, start: datetime, end: datetime, *, tenant: str) -> list[Label]:
    """What verdicts say of the incidents of a period; of several by one author on one subject the last counts."""
    since = start - timedelta(days=1)  # a verdict comes after its incident, an incident may have begun before
    by_incident: dict[str, list[Verdict]] = {}
    for verdict in current(ledger, since, tenant=tenant):
        by_incident.setdefault(verdict.incident, []).append(verdict)
    found = []
    for incident, verdicts in sorted(by_incident.items()):
        try:
            record = ledger.get(Incident, incident, tenant=tenant)
        except NotFound:
            continue
        if start <= record.detected < end:
            found.append(_label(record, verdicts))
    return found


def current(ledger: Ledger, since: datetime, *, tenant: str) -> list[Verdict]:
    """Verdicts that count: of several by one author on one subject the last."""
    latest: dict[tuple[str, str, str, str], Verdict] = {}
    after = ""
    while True:
        page = ledger.find(Verdict, tenant=tenant, since=since, limit=_LIMIT, after=after, newest_first=False)
        for verdict in page:
            latest[verdict.author, verdict.subject, verdict.ref, verdict.incident] = verdict
        if len(page) < _LIMIT:
            return list(latest.values())
        after = page[-1].id


def _label(incident: Incident, verdicts: Sequence[Verdict]) -> Label:
    causes = tuple(
        sorted({v.ref for v in verdicts if v.subject is VerdictSubject.SUSPECT and v.value is VerdictValue.RIGHT})
    )
    about = [v.value for v in verdicts if v.subject in (VerdictSubject.GROUP, VerdictSubject.ALERT)]
    noise = not causes and bool(about) and VerdictValue.RIGHT not in about
    end = incident.end or incident.last_seen
    return Label(name=incident.id, start=incident.start, end=max(end, incident.start), entities=causes, noise=noise)


def inside(labels: Sequence[Label], start: datetime, end: datetime) -> list[Label]:
    """Labels that touch a period; others can be neither found nor missed in it.

    Raises:
        InputError: A label ends before it starts.
    """
    for label in labels:
        if label.end < label.start:
            raise InputError(
                f"label {label.name!r} ends at {label.end.isoformat()}, before it starts at {label.start.isoformat()}",
                label=label.name,
            )
    return [label for label in labels if label.start < end and label.end >= start]


def hold_against(
    made: Made, labels: Sequence[Label], start: datetime, end: datetime
) -> tuple[list[Page], list[Missed]]:
    """Pages of the period, each with the label it falls into, and the labels that have none.

    A page falls into a label when it was detected between the label's start and a minute after its end. Where
    labels overlap, the one whose cause is among the page's suspects is taken, otherwise the one that began last.
    """
    incidents = [one for one in made.incidents.values() if not one.merged_into and start <= one.detected < end]
    pages = [
        _page(one, made.diagnoses.get(one.id), labels) for one in sorted(incidents, key=lambda x: (x.detected, x.id))
    ]
    has = {page.label for page in pages}
    wanted = [label for label in labels if not label.noise]
    return pages, [Missed(name=x.name, start=x.start, entities=x.entities) for x in wanted if x.name not in has]


def _page(incident: Incident, diagnosis: Diagnosis | None, labels: Sequence[Label]) -> Page:
    suspects = [one.entity for one in diagnosis.suspects] if diagnosis else []

    def rank(label: Label) -> int:
        return next((place for place, entity in enumerate(suspects, 1) if entity in label.entities), 0)

    fits = [label for label in labels if label.start <= incident.detected <= label.end + GRACE]
    label = max(fits, key=lambda one: (rank(one) > 0, one.start), default=None)
    return Page(
        incident=incident.id,
        title=incident.title,
        severity=incident.severity,
        start=incident.start,
        detected=incident.detected,
        alerts=len(incident.alerts),
        suspect=suspects[0] if suspects else "",
        rank=rank(label) if label else 0,
        label=label.name if label else "",
        noise=bool(label and label.noise),
        entities=incident.entities[:_ENTITIES],
    )


def figures_of(
    made: Made, pages: Sequence[Page], labels: Sequence[Label], asked: Backtest, took: tuple[float, float]
) -> Figures:
    """The replay in numbers.

    `labels` are those inside of the period; `took` is the time by the clock and of the processor, in seconds.
    """
    wanted = {label.name: label for label in labels if not label.noise}
    firsts: dict[str, Page] = {}
    for page in pages:
        if page.label in wanted:
            firsts.setdefault(page.label, page)
    delays = {name: (page.detected - wanted[name].start).total_seconds() for name, page in firsts.items()}
    seconds, cpu_s = took
    return Figures(
        points=made.points,
        series=made.series,
        seconds=round(seconds, 3),
        cpu_s=round(cpu_s, 3),
        findings=sum(asked.start <= one.onset < asked.end for one in made.findings.values()),
        alerts=sum(asked.start <= one.start < asked.end for one in made.alerts.values()),
        pages=len(pages),
        labels=len(wanted),
        found=len(firsts),
        first=sum(page.rank == 1 for page in firsts.values()),
        noise=sum(page.noise for page in pages),
        repeats=sum(page.label in wanted for page in pages) - len(firsts),
        outside=len(asked.labels) - len(labels) if asked.labels else 0,
        observed_s=round(made.observed_s, 1),
        pages_per_week=round(len(pages) * _WEEK_S / max(made.observed_s, _LEAST_S), 2),
        cpu_s_per_day=round(cpu_s * 86_400.0 / max(made.replayed_s, _LEAST_S), 2),
        median_delay_s=_median(delays.values()),
        classes=tuple(_classes(pages, wanted, firsts, delays)),
    )


def _classes(
    pages: Sequence[Page], wanted: Mapping[str, Label], firsts: Mapping[str, Page], delays: Mapping[str, float]
) -> Iterator[ClassFigures]:
    """The figures of each kind of entity that a label's cause or a page's first suspect has."""
    of_label = {name: _kind(label.entities) for name, label in wanted.items()}
    of_page = [_kind((page.suspect, *page.entities)) for page in pages]
    for kind in sorted({*of_label.values(), *of_page}):
        mine = {name for name, found in of_label.items() if found == kind}
        yield ClassFigures(
            kind=kind,
            labels=len(mine),
            found=sum(name in mine for name in firsts),
            first=sum(page.rank == 1 for name, page in firsts.items() if name in mine),
            noise=sum(page.noise for page, found in zip(pages, of_page, strict=True) if found == kind),
            pages=of_page.count(kind),
            median_delay_s=_median(delay for name, delay in delays.items() if name in mine),
        )


def _kind(entities: Iterable[str]) -> str:
    return next((entity.partition(":")[0] for entity in entities if ":" in entity), "")


def _median(delays: Iterable[float]) -> float | None:
    known = list(delays)
    return round(statistics.median(known), 1) if known else None
