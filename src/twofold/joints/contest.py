"""A detector is released like a model: the candidate against the version that is live, on this installation's own past.

Belongs to joint 1. The evidence is a pair of backtests over the same period; what is compared are recall on labelled
incidents, causes named first, false pages, delay and cost; recall, false pages and delay also for each kind of entity,
so that a version that is better on services cannot hide that it is worse on models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from twofold.errors import Conflict
from twofold.joints.config import ShadowConfig
from twofold.joints.rehearsals import rehearsal, shadow_gates
from twofold.joints.settings import CAUSES
from twofold.mlops.release.releases import Releases
from twofold.records.backtest import Backtest, BacktestState, ClassFigures, Figures, Page
from twofold.records.model import GateResult
from twofold.store.ledger import Ledger

COST_FACTOR: Final = 1.5
"""A candidate may cost this many times as much as the champion."""
DELAY_SLACK_S: Final = 10.0
PAGES_SLACK: Final = 1.1
LEAST_PAGES: Final = 0.5
"""So many pages a week are borne whatever the champion made: one in two weeks."""
LEAST_SPAN_S: Final = 86_400.0
"""Telemetry of less says nothing of pages a week."""
SAME_S: Final = 300.0
"""Pages of two versions that are so near and share an entity are about one trouble."""
ACCEPT: Final = "To release it all the same, say --accept-unknown: it is written into the release"
_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Two backtests of one period, and what the candidate passed."""

    candidate: Backtest
    champion: Backtest
    gates: tuple[GateResult, ...]

    @property
    def won(self) -> bool:
        """No gate failed; where the evidence cannot tell, none did."""
        return not any(failed(gate) for gate in self.gates)


def failed(gate: GateResult) -> bool:
    """Whether it was proven worse."""
    return not gate.passed and not gate.unknown


def contest(candidate: Backtest, champion: Backtest) -> Contest:
    """Hold two finished backtests against each other.

    What nothing is known of is no gate (noise, where no label says noise) or one that cannot tell, never one passed.

    Raises:
        Conflict: One is not finished, or the periods or labels differ.
    """
    ours, theirs = _figures(candidate), _figures(champion)
    period = (candidate.start, candidate.end, candidate.labels)
    if period != (champion.start, champion.end, champion.labels):
        raise Conflict("the backtests are not of the same period with the same labels; run both again")
    if candidate.model == CAUSES:
        gates = (*_ranks(candidate, champion), _cost(ours, theirs))
        return Contest(candidate=candidate, champion=champion, gates=gates)
    noise = any(label.noise for label in candidate.labels)
    words = "pages {} times for what a label calls noise"
    gates = (
        *(_found(ours, theirs) if ours.labels else _alike(candidate, champion)),
        *([_gate("false_pages", ours.noise, theirs.noise, _at_most, words)] if noise else []),
        _pages(ours, theirs),
        _cost(ours, theirs),
        *_class_gates(ours, theirs),
    )
    return Contest(candidate=candidate, champion=champion, gates=gates)


def _cost(ours: Figures, theirs: Figures) -> GateResult:
    """What a day costs. A short replay costs mostly its start, which says nothing against a version."""
    limit = theirs.cpu_s_per_day * COST_FACTOR + 1.0
    gate = _gate("cost", ours.cpu_s_per_day, limit, _at_most, "{} CPU seconds a day of telemetry")
    if gate.passed or min(ours.observed_s, theirs.observed_s) >= LEAST_SPAN_S:
        return gate
    return replace(gate, unknown=True, text=f"cannot tell what it costs from so short a period: {gate.text}")


def _ranks(candidate: Backtest, champion: Backtest) -> Iterator[GateResult]:
    """A ranker is judged by the causes that are known; where none is, by naming whom the champion names."""
    ours, theirs = _figures(candidate), _figures(champion)
    known = sum(bool(label.entities) for label in candidate.labels if not label.noise)
    if known:
        words = f"names the cause of {{}} of {known} incidents first"
        yield _gate("cause_first", ours.first, theirs.first, _at_least, words)
        return
    pairs = list(zip(candidate.pages, champion.pages, strict=False))  # of one detector, so the same pages
    same = sum(one.suspect == other.suspect for one, other in pairs)
    passed = bool(pairs) and same == len(champion.pages)
    text = (
        f"no cause of the period's incidents is known; names the same first suspect as {champion.model}@"
        f"{champion.version} for {same} of {len(champion.pages)} pages"
    )
    if not passed:
        text = f"cannot tell: {text}. Say of past incidents who caused them, or give --labels"
    yield GateResult(name="cause_first", passed=passed, value=same, limit=len(pairs), text=text, unknown=not passed)


def _found(ours: Figures, theirs: Figures) -> Iterator[GateResult]:
    """What it makes of labelled incidents."""
    words = f"finds {{}} of {ours.labels} labelled incidents"
    yield _gate("labelled_recall", ours.found, theirs.found, _at_least, words)
    yield _gate("cause_first", ours.first, theirs.first, _at_least, "names the cause first in {}")
    if ours.median_delay_s is not None and theirs.median_delay_s is not None:
        limit = theirs.median_delay_s + DELAY_SLACK_S
        yield _gate("delay_s", ours.median_delay_s, limit, _at_most, "finds after {} s at the median")


def _alike(candidate: Backtest, champion: Backtest) -> Iterator[GateResult]:
    """Nobody labelled an incident: it finds no less when it pages for all that the champion paged for."""
    wanted = champion.pages
    same = sum(any(_same(page, one) for one in candidate.pages) for page in wanted)
    name = f"{champion.model}@{champion.version}"
    said = f"pages for {same} of the {len(wanted)} that {name} paged for"
    if not wanted:
        said = f"{name} paged for nothing either"
    passed = bool(wanted) and same == len(wanted)
    text = f"no incident of the period is labelled; {said}"
    if not passed:
        text = f"cannot tell: {text}. Say of past incidents whether they were right, or give --labels"
    yield GateResult(
        name="labelled_recall", passed=passed, value=same, limit=len(wanted), text=text, unknown=not passed
    )


def _same(one: Page, other: Page) -> bool:
    """Whether both are about one trouble."""
    near = abs((one.detected - other.detected).total_seconds()) <= SAME_S
    return near and bool({one.suspect, *one.entities} & {other.suspect, *other.entities} - {""})


def _pages(ours: Figures, theirs: Figures) -> GateResult:
    """How often it pages, over the time that has samples. Less than a day says nothing of a week."""
    limit = max(theirs.pages_per_week * PAGES_SLACK, LEAST_PAGES)
    gate = _gate("pages_per_week", ours.pages_per_week, limit, _at_most, "{} pages a week")
    observed_s = min(ours.observed_s, theirs.observed_s)
    if observed_s >= LEAST_SPAN_S:
        return gate
    text = (
        f"cannot tell how often it pages: the period has {observed_s / 3600:.1f} h of telemetry, at least "
        f"{LEAST_SPAN_S / 3600:.0f} h are needed ({ours.pages} pages, {theirs.pages} of the version before)"
    )
    return replace(gate, passed=False, unknown=True, text=text)


def _class_gates(ours: Figures, theirs: Figures) -> Iterator[GateResult]:
    """No worse than the champion on any kind of entity."""
    mine = {one.kind: one for one in ours.classes}
    for old in theirs.classes:
        new = mine.get(old.kind) or ClassFigures(
            kind=old.kind, labels=old.labels, found=0, first=0, noise=0, pages=0, median_delay_s=None
        )
        words = old.kind or "unnamed"
        if old.labels:
            text = f"finds {{}} of {old.labels} labelled incidents of kind {words}"
            yield _gate(f"recall_{words}", new.found, old.found, _at_least, text)
        if new.median_delay_s is not None and old.median_delay_s is not None:
            limit = old.median_delay_s + DELAY_SLACK_S
            yield _gate(f"delay_s_{words}", new.median_delay_s, limit, _at_most, f"finds {words} after {{}} s")
    for new in ours.classes:
        before = next((old.noise for old in theirs.classes if old.kind == new.kind), 0)
        if new.noise or before:
            words = new.kind or "unnamed"
            yield _gate(f"false_pages_{words}", new.noise, before, _at_most, f"pages {{}} times for noise of {words}")


def latest_contest(ledger: Ledger, model: str, version: str, *, tenant: str) -> Contest:
    """The newest pair of backtests of this version and the live one over one period.

    Raises:
        Conflict: Nothing is live, or there is no such pair; the message says what to run.
    """
    live = Releases(ledger).live(model, tenant=tenant)
    if not live:
        raise Conflict(f"no version of {model} is live, so there is nothing to compare with")
    done = ledger.find(Backtest, tenant=tenant, where={"model": model, "state": BacktestState.DONE.value}, limit=_LIMIT)
    champions = [one for one in done if one.version == live]
    for ours in (one for one in done if one.version == version):
        for theirs in champions:
            if (ours.start, ours.end, ours.labels) == (theirs.start, theirs.end, theirs.labels):
                return contest(ours, theirs)
    raise Conflict(
        f"{model}@{version} was not yet compared with {model}@{live}, which is live; "
        f"run `twofold detectors compare {model} {version}` first"
    )


def must_win(
    ledger: Ledger,
    model: str,
    version: str,
    *,
    tenant: str,
    limits: ShadowConfig | None = None,
    now: datetime | None = None,
    accept_unknown: str = "",
) -> tuple[str, ...]:
    """Before a detector goes live: it must have won against the version that is, on the past and as its shadow.

    A ranker has no shadow. `accept_unknown` is who lets a version go live although a gate cannot tell; nobody can
    where it failed one.

    Returns:
        What each gate said: the evidence of its release.

    Raises:
        Conflict: It was not compared, failed a gate, or a gate cannot tell; the message names each.
    """
    found = latest_contest(ledger, model, version, tenant=tenant)
    gates = found.gates
    if found.won and model != CAUSES:
        beside = rehearsal(ledger, model, version, tenant=tenant, now=now or datetime.now(UTC))
        gates = (*gates, *shadow_gates(beside, limits or ShadowConfig()))
    beaten = f"{model}@{version} lost against {model}@{found.champion.version}"
    return evidence_of(gates, beaten, accept_unknown)


def unjudged(model: str, version: str, *, accept_unknown: str = "") -> tuple[str, ...]:
    """The evidence of a forecaster: its probation is its gates; no replay tells whether it is better than what is live.

    Raises:
        Conflict: Nobody accepts that.
    """
    gate = GateResult(
        name="forecasts",
        passed=False,
        value=0.0,
        limit=0.0,
        text=f"cannot tell whether {model}@{version} forecasts better than what is live: forecasts are not replayed",
        unknown=True,
    )
    return evidence_of([gate], f"{model}@{version}", accept_unknown)


def evidence_of(gates: Sequence[GateResult], beaten: str, accept_unknown: str = "") -> tuple[str, ...]:
    """What the gates said, as the evidence of a release.

    Raises:
        Conflict: One failed; or one cannot tell, and nobody accepts that.
    """
    if lost := [gate.text for gate in gates if failed(gate)]:
        raise Conflict(f"{beaten}: {'; '.join(lost)}")
    unknown = [gate.text for gate in gates if gate.unknown]
    if unknown and not accept_unknown:
        raise Conflict(f"{'; '.join(unknown)}. {ACCEPT}", unknown=unknown)
    return tuple(
        f"gate {gate.name}: {gate.text}" + (f" (accepted by {accept_unknown})" if gate.unknown else "")
        for gate in gates
    )


def _figures(backtest: Backtest) -> Figures:
    if backtest.state is not BacktestState.DONE or backtest.figures is None:
        raise Conflict(f"backtest {backtest.id} of {backtest.model}@{backtest.version} is {backtest.state.value}")
    return backtest.figures


def _at_least(value: float, limit: float) -> bool:
    return value >= limit


def _at_most(value: float, limit: float) -> bool:
    return value <= limit


def _gate(name: str, value: float, limit: float, passes: Callable[[float, float], bool], text: str) -> GateResult:
    side = "at least" if passes is _at_least else "at most"
    return GateResult(
        name=name,
        passed=passes(value, limit),
        value=value,
        limit=limit,
        text=f"{text.format(f'{value:g}')}, {side} {limit:.4g} wanted",
    )
