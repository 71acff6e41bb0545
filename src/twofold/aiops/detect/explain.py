"""Why a finding stands, and what would have silenced it, in numbers that were tried.

Beside the flow: pages ask, no stage does. The detector's own kernel learns the series anew from the history, as it was
and as it might have been (smaller, another budget, another floor), and each claim is one that such a run bore out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.floors import floor_of, kind_of, sides_of
from twofold.aiops.detect.table import Table
from twofold.aiops.detect.words import duration, quantity, unit_of
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.series import Series
from twofold.records.time import SECOND_NS, to_ns
from twofold.records.why import Silencer, SilencerKind, Why
from twofold.stats.series.layout import DAY_S, GAUGE, OPENED
from twofold.store.history import History

_SLACK_PERIODS: Final = 3.0  # a series learnt anew may notice so much earlier or later
_PAST_S: Final = (21_600.0, 86_400.0)  # learnt before the onset; the longer where samples come slowly
_TRIES: Final = 14
_LONGEST_S: Final = DAY_S  # of a finding that is replayed; the rest changes nothing of how it opened
_MOST_FACTOR: Final = 1e4
_FEW: Final = 10.0  # times from which no decimal is told
_LEAST_BUDGET: Final = 1e-9
_KNOWN_SCORE: Final = 7.0  # nobody has seen a series for longer than ten million samples
_PANEL: Final = "panel"
_SLO: Final = "slo"

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Opening:
    """How the kernel opened the finding: when, with how many samples since the onset, at which usual period."""

    opened_ns: int
    onset_ns: int
    samples: int
    period_s: float


class Explainer:
    """Explains findings of the detector of series; of the others it says what the record tells.

    Where the history is gone the reasons stand on the record alone. The last hours before the onset are learnt anew:
    a detector that has watched for days knows the series better, so what was tried holds of those hours.

    Args:
        history: Samples are read from here.
        settings: Settings of a released version by its `name@version`; None when it is not one of the panel.
    """

    def __init__(self, history: History, settings: Callable[[str, str], PanelConfig | None]) -> None:
        self._history, self._settings = history, settings

    def why(self, finding: Finding, series: Series) -> Why:
        """Why it fired and what would silence it."""
        name = finding.detector.partition("@")[0]
        if finding.direction is Direction.ABSENT:
            return _absent(finding, self._settings(finding.detector, finding.tenant))
        if finding.direction is Direction.FLAT:
            return _flat(finding)
        if finding.direction in (Direction.VOLATILE, Direction.STEADY):
            return _swinging(finding)
        if name == _SLO:
            return _burning(finding)
        config = self._settings(finding.detector, finding.tenant) if name == _PANEL else None
        if config is None:
            return Why(reasons=_recorded(finding), silencers=(_end(finding, None),))
        return self._of_panel(finding, series, config)

    def _of_panel(self, finding: Finding, series: Series, config: PanelConfig) -> Why:
        replay = _Replay(finding, series, config, *self._samples(finding, series, config))
        opening = replay.opening()
        reasons, silencers = [*_recorded(finding)], [_end(finding, config)]
        period_s = opening.period_s if opening else replay.period_s
        if period_s > 0:
            reasons.append(_rarity(finding, config, period_s))
        if opening is not None:
            took_s = (opening.opened_ns - opening.onset_ns) / SECOND_NS
            reasons.append(
                f"It was told at the {_nth(opening.samples)} sample out of the band, {duration(took_s)} after the onset"
            )
            silencers += [each for each in (replay.value(), _brief(took_s), replay.budget(), replay.floor()) if each]
        if finding.state is FindingState.OPEN:
            silencers.append(_level(config, period_s))
        return Why(reasons=tuple(reasons), silencers=tuple(silencers), replayed=opening is not None)

    def _samples(self, finding: Finding, series: Series, config: PanelConfig) -> tuple[Int64s, Float64s]:
        onset_ns = to_ns(finding.onset)
        last_ns = min(to_ns(finding.seen), onset_ns + int(_LONGEST_S * SECOND_NS))
        time_ns, value = np.empty(0, np.int64), np.empty(0)
        for warm_s in _PAST_S:
            start_ns = onset_ns - int(warm_s * SECOND_NS)
            found = self._history.samples([series.sid], start_ns, last_ns + 1, tenant=series.tenant)
            time_ns, value = found["time_ns"].to_numpy(), found["value"].to_numpy()
            if np.searchsorted(time_ns, onset_ns) > 2 * config.warm_points:
                break
        return time_ns, value


class _Replay:
    """Runs of the kernel over the samples that led to a finding."""

    def __init__(self, finding: Finding, series: Series, config: PanelConfig, time_ns: Int64s, value: Float64s) -> None:
        self._finding, self._series, self._config = finding, series, config
        self._side = 1 if finding.direction is Direction.UP else -1
        self._time_ns, self._value = time_ns, value
        self.period_s = float(np.median(np.diff(time_ns))) / SECOND_NS if len(time_ns) > 1 else 0.0
        slack_ns = int(_SLACK_PERIODS * max(self.period_s, 1.0) * SECOND_NS)
        self._since_ns, self._until_ns = to_ns(finding.onset) - slack_ns, to_ns(finding.seen) + slack_ns

    def opening(self) -> _Opening | None:
        """How the finding opens; None when the history does not bring it again."""
        table, events = self._run(self._config, self._value, 1.0)
        for event in events:
            inside = self._since_ns <= int(event["time_ns"]) <= self._until_ns
            if inside and event["what"] == OPENED and int(event["side"]) == self._side:
                onset_ns, opened_ns = int(event["onset_ns"]), int(event["time_ns"])
                samples = int(((self._time_ns >= onset_ns) & (self._time_ns <= opened_ns)).sum())
                return _Opening(opened_ns, onset_ns, samples, float(table.rows[0]["period_s"]))
        return None

    def silent(self, config: PanelConfig | None = None, value: Float64s | None = None, floor: float = 1.0) -> bool:
        """Whether no finding of that side opens or is open in the finding's time, had these been the facts."""
        _, events = self._run(config or self._config, self._value if value is None else value, floor)
        is_open = False
        for event in events:
            ours = int(event["side"]) == self._side
            if int(event["time_ns"]) > self._until_ns:
                break
            if int(event["time_ns"]) >= self._since_ns and (is_open or (ours and event["what"] == OPENED)):
                return False
            is_open = ours and event["what"] == OPENED
        return not is_open

    def _run(self, config: PanelConfig, value: Float64s, floor: float) -> tuple[Table, Sequence[npt.NDArray[Any]]]:
        table = Table(config)
        rows = np.repeat(table.locate(np.array([self._series.sid])), len(value))
        factor = floor * config.floor_factor(self._series.metric)
        table.describe(
            0, kind=kind_of(self._series), sides=sides_of(self._series), floor=floor_of(self._series).times(factor)
        )
        _, events = table.learn(rows, self._time_ns, value, ranked=False)
        return table, events

    def value(self) -> Silencer | None:
        """The largest departure of the same shape that opens nothing."""
        if kind_of(self._series) != GAUGE:
            return None
        finding = self._finding
        inside = self._time_ns >= to_ns(finding.onset)
        away = np.where(inside, self._value - finding.expected, 0.0)
        base = np.where(inside, finding.expected, self._value)
        share = _most(lambda share: self.silent(value=base + share * away), 0.0, 1.0)
        if share is None:
            return None
        peak, unit = finding.expected + share * (finding.value - finding.expected), finding.unit
        side = "below" if finding.direction is Direction.UP else "above"
        return Silencer(
            kind=SilencerKind.VALUE,
            text=f"Silent if it had stayed {side} {quantity(peak, unit)}, with the same shape: "
            f"{share:.0%} of the way from {quantity(finding.expected, unit)} to {quantity(finding.value, unit)}",
            now=finding.value,
            needed=peak,
            tried=True,
        )

    def budget(self) -> Silencer | None:
        """The largest budget of false findings at which it stays silent."""
        now = self._config.alerts_per_day
        if now <= 0:
            return None

        def silent(exponent: float) -> bool:
            return self.silent(replace(self._config, alerts_per_day=10.0**-exponent))

        exponent = _least(silent, -math.log10(now), -math.log10(_LEAST_BUDGET))
        if exponent is None:
            return Silencer(
                kind=SilencerKind.BUDGET,
                text=f"No budget of false findings would have silenced it, down to {_LEAST_BUDGET:g} a series and day",
                now=now,
                tried=True,
            )
        needed = _rounded_down(10.0**-exponent)
        fewer = now / needed
        return Silencer(
            kind=SilencerKind.BUDGET,
            text=f"Silent at a budget of {needed:.2g} false findings a series and day in the place of {now:.2g}: "
            f"{fewer:,.{1 if fewer < _FEW else 0}f} times fewer, for all series",
            setting=f"alerts_per_day={needed:.2g}",
            now=now,
            needed=needed,
            tried=True,
        )

    def floor(self) -> Silencer | None:
        """The least factor on the floor of practical size at which it stays silent."""
        factor = _least(lambda power: self.silent(floor=10.0**power), 0.0, math.log10(_MOST_FACTOR))
        if factor is None:
            return None
        now = self._config.floor_factor(self._series.metric)
        needed = math.ceil(10.0**factor * now * 10.0) / 10.0
        floor = floor_of(self._series).times(needed)
        change = max(floor.least, floor.share * abs(self._finding.expected))
        return Silencer(
            kind=SilencerKind.FLOOR,
            text=f"Silent if a change of {self._series.metric} had to be {needed / now:.1f} times as large to matter: "
            f"{quantity(change, unit_of(self._series))} at this level",
            setting=f"floors={json.dumps(self._floors(needed))}",
            now=now,
            needed=needed,
            tried=True,
        )

    def _floors(self, factor: float) -> list[str]:
        """The setting `floors` with this factor for the metric."""
        metric = self._series.metric
        return [*(each for each in self._config.floors if each.partition("=")[0] != metric), f"{metric}={factor:g}"]


def _most(silent: Callable[[float], bool], low: float, high: float) -> float | None:
    """The largest number in [low, high] found to be silent, by halving; None when not even the lowest is."""
    found = _least(lambda number: silent(low + high - number), low, high)
    return None if found is None else low + high - found


def _least(silent: Callable[[float], bool], low: float, high: float) -> float | None:
    """The least number in [low, high] found to be silent, by halving; None when not even the highest is."""
    if not silent(high):
        return None
    for _ in range(_TRIES):
        middle = (low + high) / 2
        low, high = (low, middle) if silent(middle) else (middle, high)
    return high


def _rounded_down(number: float) -> float:
    """Two digits, never more than the number.

    >>> _rounded_down(0.00129)
    0.0012
    """
    size = 10.0 ** (math.floor(math.log10(number)) - 1)
    return float(f"{math.floor(number / size) * size:.2g}")


def _nth(number: int) -> str:
    """`3` as `3rd`.

    >>> _nth(1), _nth(12), _nth(23)
    ('1st', '12th', '23rd')
    """
    teen = 10 <= number % 100 < 20  # noqa: PLR2004 - eleventh to nineteenth
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _recorded(finding: Finding) -> tuple[str, ...]:
    """What the record tells; a closed one's own reason says only how it ended."""
    low = max(finding.low, 0.0) if min(finding.value, finding.expected) >= 0 else finding.low
    worst, lasted_s = quantity(finding.value, finding.unit), (finding.seen - finding.onset).total_seconds()
    way = "rose" if finding.direction is Direction.UP else "fell"
    return (
        f"{finding.metric} {way} to {worst} from {finding.onset:%H:%M:%S} on, seen for {duration(lasted_s)}",
        (
            f"Expected was {quantity(finding.expected, finding.unit)}, within {quantity(low, finding.unit)} to "
            f"{quantity(finding.high, finding.unit)}: the worst is {_times(abs(finding.effect))} usual deviations away"
        ),
    )


def _times(number: float) -> str:
    """A number that says no more than is known.

    >>> _times(4.13), _times(60_000.0)
    ('4.1', 'more than 99')
    """
    return f"{number:.1f}" if number < 100 else "more than 99"  # noqa: PLR2004 - no more digits tell anything


def _rarity(finding: Finding, config: PanelConfig, period_s: float) -> str:
    times = f"once in {10.0**finding.score:,.0f}" if finding.score < _KNOWN_SCORE else "in less than one of 10,000,000"
    return (
        f"By chance its worst sample comes {times} of this series; the budget of {config.alerts_per_day:g} "
        f"false findings a day, at one sample every {duration(period_s)}, sets how rare several in a row must be"
    )


def _brief(took_s: float) -> Silencer:
    return Silencer(
        kind=SilencerKind.DURATION,
        text=f"Silent if it had been back in its band within {duration(took_s)} of the onset",
        needed=took_s,
        tried=True,
    )


def _end(finding: Finding, config: PanelConfig | None) -> Silencer:
    edge = finding.high if finding.direction is Direction.UP else finding.low
    beyond = "below" if finding.direction is Direction.UP else "above"
    stays = f" for {duration(config.recover_s)}" if config else ""
    ends = "closes once the series stays" if finding.state is FindingState.OPEN else "closed when the series stayed"
    return Silencer(
        kind=SilencerKind.END,
        text=f"It {ends} {beyond} about {quantity(edge, finding.unit)}{stays}",
        now=finding.value,
        needed=edge,
    )


def _level(config: PanelConfig, period_s: float) -> Silencer:
    after_s = max(config.readmit_s, config.readmit_points * period_s)
    return Silencer(
        kind=SilencerKind.LEVEL,
        text=f"If it stays where it is, it counts as the new level after {duration(after_s)}",
        needed=after_s,
    )


def _absent(finding: Finding, config: PanelConfig | None) -> Why:
    quiet = abs(finding.effect)
    reasons = (f"It has missed {quiet:,.0f} of its samples in a row, in the rhythm that it had before",)
    silencers = [Silencer(kind=SilencerKind.DATA, text="It closes as soon as its samples come again")]
    if config is not None and quiet > 0:
        needed = math.ceil(quiet) + 1
        silencers.append(
            Silencer(
                kind=SilencerKind.DURATION,
                text=f"Silent so far if {needed} periods had to be missed in the place of {config.silent_periods:g}, "
                "for all entities",
                setting=f"silent_periods={needed}",
                now=config.silent_periods,
                needed=float(needed),
            )
        )
    return Why(reasons=reasons, silencers=tuple(silencers))


def _flat(finding: Finding) -> Why:
    at = quantity(finding.value, finding.unit)
    reasons = (f"It has stood at exactly {at} {finding.effect:.0f} times as long as in all that is known of it",)
    return Why(
        reasons=reasons, silencers=(Silencer(kind=SilencerKind.DATA, text="It closes as soon as its value moves"),)
    )


def _swinging(finding: Finding) -> Why:
    size, usual = (quantity(each, finding.unit) for each in (finding.value, finding.expected))
    times = f"{finding.effect:.2g} x as much"
    reasons = (
        f"In the mean of twenty samples it was {size} off what was expected of it, usually {usual}: {times}",
        "Several such means in a row said so, each further from the usual one than those of this series spread",
    )
    ends = "It closes as soon as it swings as before, or counts as usual when it has gone on for some 24 such means"
    return Why(reasons=reasons, silencers=(Silencer(kind=SilencerKind.DATA, text=ends),))


def _burning(finding: Finding) -> Why:
    reasons = (
        f"The error budget burnt {finding.value:.1f} times as fast as allowed; told above {finding.high:g} times",
    )
    silencer = Silencer(
        kind=SilencerKind.BURN,
        text=f"Silent while the budget burns at most {finding.high:g} times as fast as allowed: "
        f"{finding.value / finding.high if finding.high else 0.0:.1f} times fewer bad requests",
        now=finding.value,
        needed=finding.high,
    )
    return Why(reasons=reasons, silencers=(silencer,))
