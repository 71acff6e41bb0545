"""A detector is released like a model: the candidate against the version that is live, on this installation's own past.

Belongs to joint 1. The evidence is a pair of backtests over the same period; what is compared are recall on labelled
incidents, causes named first, false pages, delay and cost; recall, false pages and delay also for each kind of entity,
so that a version that is better on services cannot hide that it is worse on models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from twofold.errors import Conflict
from twofold.joints.config import ShadowConfig
from twofold.joints.rehearsals import rehearsal, shadow_gates
from twofold.mlops.release.releases import Releases
from twofold.records.backtest import Backtest, BacktestState, ClassFigures, Figures
from twofold.records.model import GateResult
from twofold.store.ledger import Ledger

COST_FACTOR: Final = 1.5
"""A candidate may cost this many times as much as the champion."""
DELAY_SLACK_S: Final = 10.0
PAGES_SLACK: Final = 1.1
_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Two backtests of one period, and what the candidate passed."""

    candidate: Backtest
    champion: Backtest
    gates: tuple[GateResult, ...]

    @property
    def won(self) -> bool:
        """Every gate passed."""
        return all(gate.passed for gate in self.gates)


def contest(candidate: Backtest, champion: Backtest) -> Contest:
    """Hold two finished backtests against each other.

    Raises:
        Conflict: One is not finished, or the periods or labels differ.
    """
    ours, theirs = _figures(candidate), _figures(champion)
    period = (candidate.start, candidate.end, candidate.labels)
    if period != (champion.start, champion.end, champion.labels):
        raise Conflict("the backtests are not of the same period with the same labels; run both again")
    delay = theirs.median_delay_s
    rows = (
        _gate(
            "labelled_recall", ours.found, theirs.found, _at_least, f"finds {{}} of {ours.labels} labelled incidents"
        ),
        _gate("cause_first", ours.first, theirs.first, _at_least, "names the cause first in {}"),
        _gate("false_pages", ours.noise, theirs.noise, _at_most, "pages {} times for what a label calls noise"),
        _gate(
            "pages_per_week",
            ours.pages_per_week,
            max(theirs.pages_per_week * PAGES_SLACK, 0.5),
            _at_most,
            "{} pages a week",
        ),
        _gate(
            "delay_s",
            ours.median_delay_s if ours.median_delay_s is not None else 0.0,
            (delay if delay is not None else 0.0) + DELAY_SLACK_S,
            _at_most,
            "finds after {} s at the median",
        ),
        _gate(
            "cost",
            ours.cpu_s_per_day,
            theirs.cpu_s_per_day * COST_FACTOR + 1.0,
            _at_most,
            "{} CPU seconds a day of telemetry",
        ),
    )
    return Contest(candidate=candidate, champion=champion, gates=(*rows, *_class_gates(ours, theirs)))


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
) -> tuple[str, ...]:
    """Before a detector goes live: it must have won against the version that is, on the past and as its shadow.

    Returns:
        What each gate said: the evidence of its release.

    Raises:
        Conflict: It was not compared, or failed a gate; the message names each.
    """
    found = latest_contest(ledger, model, version, tenant=tenant)
    gates = found.gates
    if found.won:
        beside = rehearsal(ledger, model, version, tenant=tenant, now=now or datetime.now(UTC))
        gates = (*gates, *shadow_gates(beside, limits or ShadowConfig()))
    if lost := [gate.text for gate in gates if not gate.passed]:
        raise Conflict(f"{model}@{version} lost against {model}@{found.champion.version}: {'; '.join(lost)}")
    return tuple(f"gate {gate.name}: {gate.text}" for gate in gates)


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
