"""Evaluates the rules of a file over a period as Prometheus would have, and tells what became of each.

All groups share their moments, multiples of their intervals; Prometheus gives each a moment of its own within it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from twofold.aiops.detect.rules.file import Book, Rule
from twofold.aiops.detect.rules.firing import STALE, Firing, lives, recorded
from twofold.aiops.detect.rules.made import Gathered, Made, made_of
from twofold.aiops.detect.rules.order import Together, needs, ordered, reaches
from twofold.aiops.detect.rules.source import Recorded
from twofold.aiops.detect.rules.template import Given, fill, problem
from twofold.errors import InputError, TooLarge, TwofoldError
from twofold.store.promql import Engine, Source
from twofold.store.promql.limits import Account
from twofold.store.promql.matchers import Matcher, Op
from twofold.store.promql.values import NAME, Ints, Labels, Vector

_HOPELESS: Final = 100
"""A rule whose first evaluations all fail, as many as these, is not evaluated further."""
_LEAST_BLOCK: Final = 16
_MOST_MOMENTS: Final = 500_000
"""Evaluations of one rule: a year of minutes. The whole of a file may take as long as `_LONGEST_S`."""
_LONGEST_S: Final = 1800.0
_UNUSED: Final = "no alert asks for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became of one rule.

    Attributes:
        refused: Why it was not replayed; empty for one that was.
        unused: Whether it is a recording that no alert asks for, and so was not evaluated.
        note: What else there is to say: evaluations that failed, templates that are not filled in.
        firings: By time.
        series: Series that a recording made.
    """

    rule: Rule
    refused: str = ""
    unused: bool = False
    note: str = ""
    firings: Sequence[Firing] = ()
    series: int = 0


def replay(
    book: Book,
    engine: Engine,
    source: Source,
    start_ms: int,
    end_ms: int,
    tell: Callable[[float], None] = lambda _share: None,
) -> list[Replayed]:
    """Every rule of the book over [start, end], in its order. What recordings are asked for earlier is made earlier.

    Args:
        book: As `read_rules` gives it.
        engine: Evaluates expressions.
        source: The history.
        start_ms: The first moment of evaluation is the first multiple of a group's interval from here on.
        end_ms: None is later.
        tell: Hears the share done.
    """
    rules = book.rules
    needed = needs(rules)
    order = ordered(rules, needed)
    back = reaches(rules, needed, order)
    names = {rule.name for rule in rules if rule.records}
    if any(not rules[other].records for each in needed for other in each):
        names |= {"ALERTS", "ALERTS_FOR_STATE"}
    run = _Run(rules, needed, engine, Recorded(source, names), end_ms)
    for number, together in enumerate(order):
        begins = {place: start_ms - back[place] for place in together.rules if place in back}
        run.evaluate(together, begins)
        tell((number + 1) / len(order))
    return [run.done[place] for place in range(len(rules))]


@dataclass(slots=True)
class _Run:
    rules: Sequence[Rule]
    needed: Sequence[set[int]]
    engine: Engine
    source: Recorded
    end_ms: int
    done: dict[int, Replayed] = field(default_factory=dict)
    until_s: float = field(default_factory=lambda: time.monotonic() + _LONGEST_S)

    def evaluate(self, together: Together, begins: dict[int, int]) -> None:
        """Rules that belong together; each is done after that."""
        able = []
        for place in together.rules:
            rule = self.rules[place]
            refused = rule.refused or self._without(place, together) or self._too_much(place, begins)
            if refused or place not in begins:
                unused = not refused
                self.done[place] = Replayed(rule=rule, refused=refused, unused=unused, note=_UNUSED if unused else "")
            else:
                able.append(place)
        gathered = {place: Gathered(self.rules[place], self._moments(place, begins[place])) for place in able}
        if together.moments or not self._whole(gathered):
            self._by_moment(gathered)
        for place, each in gathered.items():
            if place not in self.done:
                self.done[place] = self._finish(place, each, put=not each.put)

    def _without(self, place: int, together: Together) -> str:
        """Why a rule cannot be evaluated for want of another one."""
        for other in sorted(self.needed[place]):
            rule = self.rules[other]
            if other in self.done and self.done[other].refused:
                return f"it needs {rule.name!r} (line {rule.line}), which cannot be replayed"
            if not rule.records and other in together.rules:
                return f"it asks for the state of {rule.name!r}, which depends on it or comes after it"
        return ""

    def _too_much(self, place: int, begins: dict[int, int]) -> str:
        """Why a rule would take too long."""
        if time.monotonic() > self.until_s:
            return f"the rules before it took longer than {_LONGEST_S / 60:.0f} min"
        moments = (self.end_ms - begins.get(place, self.end_ms)) // self._step(place)
        if moments > _MOST_MOMENTS:
            return f"{moments} evaluations, at most {_MOST_MOMENTS}: take a longer interval or a shorter period"
        return ""

    def _moments(self, place: int, begin_ms: int) -> Ints:
        step = self._step(place)
        return np.arange(-(-begin_ms // step) * step, self.end_ms + 1, step, dtype=np.int64)

    def _step(self, place: int) -> int:
        return max(int(self.rules[place].interval_s * 1000), 1)

    def _whole(self, gathered: dict[int, Gathered]) -> bool:
        """All moments at once; False when an evaluation among them fails, which only single moments tell apart."""
        self.source.until_ms = None
        for place, each in gathered.items():
            try:
                for first, vector in self._blocks(each, self._step(place)):
                    each.add(first, vector)
            except TooLarge as error:
                self.done[place] = Replayed(rule=each.rule, refused=error.message)
            except InputError:
                each.clear()
                return False
            except TwofoldError as error:
                self.done[place] = Replayed(rule=each.rule, refused=error.message)
        return True

    def _blocks(self, each: Gathered, step_ms: int) -> Iterator[tuple[int, Vector]]:
        """Answers for as many moments at once as the limits let."""
        first, most = 0, self.engine.limits.points
        offset = int(each.rule.offset_s * 1000)
        while first < len(each.at_ms):
            part = each.at_ms[first : first + most] - offset
            try:
                answer = self.engine.range(self.source, each.rule.expr, int(part[0]), int(part[-1]), step_ms)
            except TooLarge:
                if len(part) <= _LEAST_BLOCK:
                    raise
                most = len(part) // 4
                continue
            if answer.vector is not None:
                yield first, answer.vector
            first += len(part)

    def _by_moment(self, gathered: dict[int, Gathered]) -> None:
        """One evaluation after the other, by time and, of one time, by place; each sees what those before it made."""
        moments = [(int(at), place, number) for place, each in gathered.items() for number, at in enumerate(each.at_ms)]
        for at, place, number in sorted(moments):
            if place not in self.done:
                self._once(place, gathered[place], number, at)
            if time.monotonic() > self.until_s:
                late = f"not evaluated within {_LONGEST_S / 60:.0f} min"
                self.done |= {
                    each: Replayed(rule=self.rules[each], refused=late) for each in gathered.keys() - self.done
                }
                break
        self.source.until_ms = None

    def _once(self, place: int, each: Gathered, number: int, at: int) -> None:
        self.source.until_ms = at
        try:
            answer = self.engine.instant(self.source, each.rule.expr, at - int(each.rule.offset_s * 1000))
            found = made_of(each.rule, answer.vector) if answer.vector is not None else []
            each.take(number, found)
            if each.rule.records:
                each.put = True
                self._put_one(each, number)
        except InputError as error:
            each.fail(number, error.message)
            if isinstance(error, TooLarge) or (each.failures >= _HOPELESS and each.failures == number + 1):
                self.done[place] = Replayed(rule=each.rule, refused=error.message)
        except TwofoldError as error:
            self.done[place] = Replayed(rule=each.rule, refused=error.message)

    def _put_one(self, each: Gathered, number: int) -> None:
        """What a recording made at one moment, and the end of what it made the last time and no longer."""
        at = each.at_ms[[number]] - int(each.rule.offset_s * 1000)
        now = each.now
        for labels in each.before - now.keys():
            self.source.put(labels, at, np.array([STALE]))
        for labels, value in now.items():
            self.source.put(labels, at, np.array([value]))
        each.before = set(now)

    def _finish(self, place: int, each: Gathered, *, put: bool) -> Replayed:
        rule = each.rule
        if each.failures and each.failures == len(each.at_ms):
            return Replayed(rule=rule, refused=each.failure)
        note = f"{each.failures} of {len(each.at_ms)} evaluations failed: {each.failure}" if each.failures else ""
        note = "; ".join(filter(None, (note, self._missing(rule))))
        at_ms, made = each.whole()
        if rule.records:
            try:
                for one in made if put else ():
                    self.source.put(one.labels, *one.ended(at_ms, int(rule.offset_s * 1000)))
            except TooLarge as error:
                return Replayed(rule=rule, refused=error.message)
            return Replayed(rule=rule, note=note, series=len(made))
        told = {text: told for text in (*rule.labels.values(), *rule.annotations.values()) if (told := problem(text))}
        notes = [note, *(f"{text!r} stands as written: {why}" for text, why in told.items())]
        firings = list(self._firings(place, made, at_ms))
        firings.sort(key=lambda one: (one.fired_ms, one.active_ms))
        return Replayed(rule=rule, note="; ".join(filter(None, notes)), firings=firings)

    def _missing(self, rule: Rule) -> str:
        """Which metrics the rule looks at that nobody sent: it could not have fired for want of them."""
        names = []
        for name, alone in ((_name(each), (each,)) for look in rule.looks for each in look.conditions):
            if name and name not in self.source.names:
                with suppress(TooLarge):  # more series than a query may read are not none
                    if not self.source.series(alone, Account(self.engine.limits)):
                        names.append(name)
        return f"history holds no {', '.join(dict.fromkeys(names))} as it asks for" if names else ""

    def _firings(self, place: int, made: Sequence[Made], at_ms: Ints) -> Iterator[Firing]:
        """The firings of an alert; where a rule asks for its states, those are recorded."""
        rule, asked = self.rules[place], any(place in each for each in self.needed)
        for one in made:
            for life in lives(rule, at_ms, one.held):
                for run in recorded(rule, one.labels, life, at_ms) if asked else ():
                    self.source.put(*run)
                if life.fired < life.gone:
                    value = float(one.values[np.searchsorted(one.held, life.fired)])
                    yield Firing(
                        rule=rule.name,
                        labels=dict(one.labels),
                        active_ms=int(at_ms[life.active]),
                        fired_ms=int(at_ms[life.fired]),
                        ended_ms=int(at_ms[life.gone]) if life.gone < len(at_ms) else self.end_ms,
                        annotations=_annotated(rule, one.of, value),
                    )


def _name(alternative: Sequence[Matcher]) -> str:
    """The metric that a selector names; empty for one that names none."""
    return next((each.value for each in alternative if each.name == NAME and each.op is Op.EQUAL), "")


def _annotated(rule: Rule, labels: Labels, value: float) -> dict[str, str]:
    return {name: fill(text, Given(dict(labels), value)) for name, text in rule.annotations.items()}
