"""A rule file, read: its rules in order, each with its line, and what is wrong with those that cannot be replayed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NoReturn

import yaml

from twofold.errors import InputError, TwofoldError
from twofold.store.promql.limits import Limits
from twofold.store.promql.looks import Look, looks

MOST_RULES: Final = 1000
INTERVAL_S: Final = 60.0
"""Of a group that names none, as Prometheus's own default."""
_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}
_DURATION: Final = re.compile(r"(\d+)(ms|[smhdwy])")
_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ALERT: Final = frozenset({"alert", "expr", "for", "keep_firing_for", "labels", "annotations"})
_RECORD: Final = frozenset({"record", "expr", "labels"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a file.

    Attributes:
        name: Of the alert, or of the series that it records.
        records: Whether it is a recording rule.
        group: Its group's name, and the group's place in the file, for rules of a group see what those before it made.
        line: Where it begins, from 1.
        for_s: How long the expression must hold before an alert fires.
        keep_s: How long it keeps firing after that.
        interval_s: How often its group is evaluated.
        offset_s: How far back its group looks.
        limit: Most series or alerts that it may make at a time; 0 for any number.
        labels: Put on what it makes; an alert's may hold templates.
        annotations: Templates.
        looks: What its expression looks at.
        refused: Why it cannot be replayed; empty for one that can.
    """

    name: str
    expr: str
    records: bool = False
    group: str = ""
    place: int = 0
    line: int = 0
    for_s: float = 0.0
    keep_s: float = 0.0
    interval_s: float = INTERVAL_S
    offset_s: float = 0.0
    limit: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    looks: Sequence[Look] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """The rules of a file, in its order."""

    rules: Sequence[Rule]

    def alerts(self) -> list[Rule]:
        """Alerts that can be replayed, as far as reading them tells."""
        return [rule for rule in self.rules if not rule.records and not rule.refused]


def read_rules(text: str, limits: Limits | None = None) -> Book:
    """The rules of a file. A `PrometheusRule` of Kubernetes is read as well.

    Raises:
        InputError: No rule file, or nothing in it that could page; names the line.
    """
    if not text.strip():
        raise InputError("the rule file is empty; it needs `groups` with at least one alert", reason="rules")
    groups = enumerate(_groups(*_loaded(text)))
    rules = [_rule(number, *entry, limits or Limits()) for number, group in groups for entry in group]
    if len(rules) > MOST_RULES:
        raise InputError(f"{len(rules)} rules, at most {MOST_RULES} are replayed at once", reason="rules")
    book = Book(rules=rules)
    if not book.alerts():
        _nothing(rules)
    return book


def _nothing(rules: Sequence[Rule]) -> NoReturn:
    """Say why nothing of the file could page. Raises `InputError`."""
    wrong = [f"line {rule.line}, {rule.name or 'a rule'}: {rule.refused}" for rule in rules if rule.refused]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""  # noqa: PLR2004 - as many as one reads
        raise InputError(f"no alert of the rule file can be replayed: {'; '.join(wrong[:3])}{more}", reason="rules")
    if rules:
        raise InputError(
            f"the rule file has recording rules only ({len(rules)}) and no alert: nothing in it could page. "
            "Recording rules are replayed for the alerts that use them; add those",
            reason="rules",
        )
    raise InputError("the rule file has groups and no rule in them; it needs at least one alert", reason="rules")


def _loaded(text: str) -> tuple[Any, Any]:
    """The document and its nodes, which know their lines."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        return (loader.construct_document(node) if node else None), node
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"the rule file is no YAML{line}: {error.problem or error.context}", reason="rules") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # bytes that are no text; a date that is none
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"the rule file is no YAML: {told}", reason="rules") from error


def _groups(loaded: Any, node: Any) -> Iterator[list[tuple[Mapping[str, Any], Any, int]]]:
    """For each group its rules: group, rule, line."""
    if isinstance(loaded, dict) and isinstance(loaded.get("spec"), dict):  # Kubernetes
        loaded, node = loaded["spec"], _under(node, "spec")
    groups = loaded.get("groups") if isinstance(loaded, dict) else None
    if not isinstance(groups, list):
        raise InputError("a rule file has a list under `groups`; this one has none", reason="rules")
    for group, at in zip(groups, _under(node, "groups").value, strict=True):
        rules = group.get("rules") if isinstance(group, dict) else None
        if not isinstance(rules, list):
            if isinstance(group, dict) and rules is None:
                continue
            raise InputError(f"line {at.start_mark.line + 1}: a group is a mapping with `rules`", reason="rules")
        nodes = _under(at, "rules").value
        yield [(group, rule, each.start_mark.line + 1) for rule, each in zip(rules, nodes, strict=True)]


def _under(node: Any, key: str) -> Any:
    """The node of a mapping's member; of a key that stands twice the last, as its value is."""
    return [value for name, value in node.value if name.value == key][-1]


def _rule(place: int, group: Mapping[str, Any], rule: Any, line: int, limits: Limits) -> Rule:
    """One rule; what is wrong with it becomes the reason for which it is refused."""
    if not isinstance(rule, dict):
        return Rule(name="", expr="", group=str(group.get("name", "")), line=line, refused="a rule is a mapping")
    records = "record" in rule
    bare = Rule(
        name=str(rule.get("record" if records else "alert") or ""),
        expr=str(rule.get("expr", "")),
        records=records,
        group=str(group.get("name", "")),
        place=place,
        line=line,
    )
    try:
        return _read(bare, group, rule, limits)
    except TwofoldError as error:
        return replace(bare, refused=error.message.replace('invalid parameter "query"', "expr"))


def _read(bare: Rule, group: Mapping[str, Any], rule: Mapping[str, Any], limits: Limits) -> Rule:
    """The rest of a rule. Raises `InputError` as Prometheus would refuse it."""
    if not isinstance(rule.get("expr"), str | int | float) or not bare.name:
        raise InputError("it needs `expr`, and `alert` or `record`", reason="rules")
    if unknown := sorted(map(str, rule.keys() - (_RECORD if bare.records else _ALERT))):
        kind = "a recording rule" if bare.records else "an alert"
        raise InputError(f"{', '.join(unknown)} is no field of {kind}", reason="rules")
    if bare.records and not _NAME.fullmatch(bare.name):
        raise InputError(f"{bare.name!r} is no name of a metric", reason="rules")
    return replace(
        bare,
        for_s=_seconds(rule.get("for", "0s"), "for"),
        keep_s=_seconds(rule.get("keep_firing_for", "0s"), "keep_firing_for"),
        interval_s=_seconds(group.get("interval", f"{INTERVAL_S:.0f}s"), "interval") or INTERVAL_S,
        offset_s=_seconds(group.get("query_offset", "0s"), "query_offset"),
        limit=int(group["limit"]) if isinstance(group.get("limit"), int) else 0,
        labels=_texts(rule, "labels"),
        annotations=_texts(rule, "annotations"),
        looks=looks(bare.expr, limits),
    )


def _texts(rule: Mapping[str, Any], name: str) -> dict[str, str]:
    found = rule.get(name) or {}
    if not isinstance(found, dict):
        raise InputError(f"{name} must be a mapping", reason="rules")
    if wrong := [str(key) for key in found if not _LABEL.fullmatch(str(key))]:
        raise InputError(f"{wrong[0]!r} in {name} is no name of a label", reason="rules")
    if nested := [str(key) for key, value in found.items() if not isinstance(value, str | int | float | None)]:
        raise InputError(f"{nested[0]!r} in {name} must be a text", reason="rules")
    return {str(key): "" if value is None else str(value) for key, value in found.items()}


def _seconds(text: object, name: str) -> float:
    """Of a duration as Prometheus writes it: `5m`, `1h30m`, `0`."""
    found = _DURATION.findall(str(text))
    if str(text) != "0" and (not found or "".join(number + unit for number, unit in found) != str(text)):
        raise InputError(f"{name}: {text!r} is no duration such as 5m or 1h30m", reason="rules")
    return sum(float(number) * _UNITS_S[unit] for number, unit in found)
