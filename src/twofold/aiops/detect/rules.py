"""Alert rules that people already have, in Prometheus's format, evaluated over history: when would they have fired?

Source: Prometheus's documentation of alerting and recording rules. A recording rule is put in place of its name where
an alert uses it bare; an alert that filters it or looks back over it cannot be replayed, and is told so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import yaml

from twofold.errors import InputError, TwofoldError
from twofold.store.promql import Engine, Labels, Source

Bools = npt.NDArray[np.bool_]

_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}
_DURATION: Final = re.compile(r"(\d+)(ms|[smhdwy])")
_INTERVAL_S: Final = 60.0
_DEEP: Final = 8
MOST_RULES: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One alert of a rule file, recording rules put in.

    Attributes:
        for_s: How long the expression must hold before it fires.
        keep_s: How long it keeps firing after that.
        interval_s: How often its group is evaluated.
    """

    name: str
    expr: str
    for_s: float = 0.0
    keep_s: float = 0.0
    interval_s: float = _INTERVAL_S
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One time that a rule would have fired.

    Attributes:
        active_ms: When the expression began to hold.
        fired_ms: When it had held for long enough.
        ended_ms: When it no longer fired; the end of the period for one that still does.
    """

    rule: str
    labels: Mapping[str, str]
    active_ms: int
    fired_ms: int
    ended_ms: int


def read_rules(text: str) -> list[Rule]:
    """The alerts of a rule file.

    Raises:
        InputError: No rule file; names the group and rule that is wrong.
    """
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"the rule file is no YAML: {error}", reason="rules") from error
    groups = loaded.get("groups") if isinstance(loaded, dict) else None
    if not isinstance(groups, list):
        raise InputError("a rule file has a list under `groups`; this one has none", reason="rules")
    recorded: dict[str, str] = {}
    alerts: list[Rule] = []
    for group, rule in _entries(groups):
        where = f"group {group.get('name', '?')!r}, rule {rule.get('alert') or rule.get('record') or '?'!r}"
        if not isinstance(rule.get("expr"), str | int | float) or not (rule.get("alert") or rule.get("record")):
            raise InputError(f"{where}: it needs `expr`, and `alert` or `record`", reason="rules")
        if "record" in rule:
            recorded[str(rule["record"])] = str(rule["expr"])
        else:
            alerts.append(_alert(group, rule, where))
    if len(alerts) > MOST_RULES:
        raise InputError(f"{len(alerts)} alerts, at most {MOST_RULES} are replayed at once", reason="rules")
    return [_with_recorded(rule, recorded) for rule in alerts]


def _entries(groups: Sequence[Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for group in groups:
        rules = group.get("rules") if isinstance(group, dict) else None
        for rule in rules if isinstance(rules, list) else ():
            if not isinstance(rule, dict):
                raise InputError(f"group {group.get('name', '?')!r} holds a rule that is no mapping", reason="rules")
            yield group, rule


def _alert(group: Mapping[str, Any], rule: Mapping[str, Any], where: str) -> Rule:
    labels = rule.get("labels") or {}
    if not isinstance(labels, dict):
        raise InputError(f"{where}: labels must be a mapping", reason="rules")
    return Rule(
        name=str(rule["alert"]),
        expr=str(rule["expr"]),
        for_s=_seconds(rule.get("for", "0s"), where),
        keep_s=_seconds(rule.get("keep_firing_for", "0s"), where),
        interval_s=_seconds(group.get("interval", f"{_INTERVAL_S:.0f}s"), where) or _INTERVAL_S,
        labels={str(name): str(value) for name, value in labels.items()},
    )


def _seconds(text: object, where: str) -> float:
    """Of a duration as Prometheus writes it: `5m`, `1h30m`, `0`."""
    found = _DURATION.findall(str(text))
    if str(text) != "0" and "".join(number + unit for number, unit in found) != str(text):
        raise InputError(f"{where}: {text!r} is no duration such as 5m or 1h30m", reason="rules")
    return sum(float(number) * _UNITS_S[unit] for number, unit in found)


def _with_recorded(rule: Rule, recorded: Mapping[str, str]) -> Rule:
    expr = rule.expr
    for _ in range(_DEEP):
        used = [name for name in recorded if re.search(_bare(name), expr)]
        if not used:
            break
        for name in used:
            if re.search(_bare(name) + r"\s*[\[{]", expr):
                raise InputError(
                    f"alert {rule.name!r} filters or looks back over {name!r}, a recording that history does not hold",
                    reason="rules",
                )
            put_in = f"({recorded[name]})".replace("\\", r"\\")  # a regular expression inside holds backslashes
            expr = re.sub(_bare(name), put_in, expr)
    return Rule(
        name=rule.name,
        expr=expr,
        for_s=rule.for_s,
        keep_s=rule.keep_s,
        interval_s=rule.interval_s,
        labels=rule.labels,
    )


def _bare(name: str) -> str:
    return rf"(?<![\w:]){re.escape(name)}(?![\w:])"


def firings(rule: Rule, engine: Engine, source: Source, start_ms: int, end_ms: int) -> list[Firing]:
    """When the rule would have fired in [start, end], by its group's interval.

    Raises:
        TwofoldError: As the engine does; the message names the rule.
    """
    step_ms = max(int(rule.interval_s * 1000), 1)
    block = step_ms * (engine.limits.points - 1)
    holds: dict[Labels, list[npt.NDArray[np.int64]]] = {}
    for low in range(start_ms, end_ms + 1, block + step_ms):
        try:
            answer = engine.range(source, rule.expr, low, min(low + block, end_ms), step_ms)
        except TwofoldError as error:
            raise type(error)(f"alert {rule.name!r}: {error.message}", **error.facts) from error
        if answer.vector is None:
            continue
        for labels, present in zip(answer.vector.labels, answer.vector.present, strict=True):
            holds.setdefault(labels, []).append(answer.steps[present])
    made: list[Firing] = []
    for labels, parts in holds.items():
        shown = {name: value for name, value in labels if name != "__name__"} | dict(rule.labels)
        made.extend(_runs(rule, shown, np.concatenate(parts), step_ms))
    return sorted(made, key=lambda one: (one.fired_ms, one.active_ms))


def _runs(rule: Rule, labels: Mapping[str, str], steps: npt.NDArray[np.int64], step_ms: int) -> Iterator[Firing]:
    """Stretches of evaluations at which the expression held."""
    keep_ms = int(rule.keep_s * 1000)
    ends = np.flatnonzero(np.diff(steps, append=np.iinfo(np.int64).max) > step_ms + keep_ms)
    first = 0
    for last in ends.tolist():
        active, until = int(steps[first]), int(steps[last])
        fired = active + -(-int(rule.for_s * 1000) // step_ms) * step_ms
        first = last + 1
        if fired <= until:
            ended = until + step_ms + keep_ms
            yield Firing(rule=rule.name, labels=labels, active_ms=active, fired_ms=fired, ended_ms=ended)
