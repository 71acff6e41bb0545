"""Which rules look at what others make, and so in what order they are evaluated.

Most rules look at what stands before them: they are evaluated whole, all moments at once. Rules of one group that
look at a later one of it see what that made the last time; these, and rules that look at themselves, are evaluated
together, moment by moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from twofold.aiops.detect.rules.file import Rule
from twofold.store.promql.matchers import Conditions, Matcher, Op
from twofold.store.promql.values import NAME

ALERTS: Final = ("ALERTS", "ALERTS_FOR_STATE")
"""What alerts themselves record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Rules that are evaluated together.

    Attributes:
        rules: Their places in the file, ascending.
        moments: Whether moment by moment.
    """

    rules: Sequence[int]
    moments: bool


def needs(rules: Sequence[Rule]) -> list[set[int]]:
    """For each rule the places of those that make what it looks at; itself may be among them."""
    made: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for place, rule in enumerate(rules):
        for labels in _makes(rule):
            made.setdefault(labels[NAME], []).append((place, labels))
    return [{place for look in rule.looks for place in _makers(look.conditions, made)} for rule in rules]


def _makers(conditions: Conditions, made: Mapping[str, Sequence[tuple[int, dict[str, str]]]]) -> Iterator[int]:
    """Places of the rules whose series could meet the conditions; a selector without a name meets none."""
    for alternative in conditions:
        on_name = [each for each in alternative if each.name == NAME]
        exact = next((each.value for each in on_name if each.op is Op.EQUAL), None)
        names = [exact] if exact is not None else list(made) if on_name else []
        for name in names:
            yield from (place for place, labels in made.get(name, ()) if _fits(labels, alternative))


def ordered(rules: Sequence[Rule], needed: Sequence[set[int]]) -> list[Together]:
    """All rules, such that those come first which others look at; otherwise in the order of the file."""
    bound = [set(each) for each in needed]
    for place, each in enumerate(needed):
        for other in each:
            if other > place and rules[other].place == rules[place].place:
                bound[other].add(place)  # a later rule of its group: neither can be evaluated whole
    reach = _reached(bound)
    parts = {tuple(other for other in reach[place] if place in reach[other]) for place in range(len(rules))}
    return [
        Together(
            rules=sorted(part),
            moments=len(part) > 1 or part[0] in needed[part[0]] or any(look.pinned for look in rules[part[0]].looks),
        )
        for part in sorted(parts, key=lambda part: (len(reach[part[0]]), min(part)))
    ]


def reaches(rules: Sequence[Rule], needed: Sequence[set[int]], order: Sequence[Together]) -> Mapping[int, int]:
    """How many milliseconds before the first moment each rule that somebody needs is to be evaluated already.

    Alerts are needed from the first moment on; recordings that no alert needs are left out.
    """
    back = {place: 0 for place, rule in enumerate(rules) if not rule.records}
    for together in reversed(order):
        known = [back[place] for place in together.rules if place in back]
        if not known:
            continue
        for place in together.rules:
            back[place] = max(known)  # what is evaluated together begins together
            longest = max((look.back_ms for look in rules[place].looks), default=0)
            for other in needed[place].difference(together.rules):
                if rules[other].records:
                    more = back[place] + longest + int((rules[other].interval_s + rules[other].offset_s) * 1000)
                    back[other] = max(back.get(other, 0), more)
    return back


def _makes(rule: Rule) -> Iterator[dict[str, str]]:
    """What is known of the labels that a rule's series will have; an alert's templates are not."""
    if rule.records:
        yield {**rule.labels, NAME: rule.name}
        return
    for name in ALERTS:
        yield {"alertname": rule.name, NAME: name}


def _fits(labels: Mapping[str, str], alternative: Sequence[Matcher]) -> bool:
    """Whether a series with these labels, and any others, could meet the conditions."""
    return all(bool(each.of([labels[each.name]])[0]) for each in alternative if each.name in labels)


def _reached(bound: Sequence[set[int]]) -> list[frozenset[int]]:
    """For each place all that can be reached from it, itself among them."""
    reach = [frozenset({place}) for place in range(len(bound))]
    changed = True
    while changed:
        changed = False
        for place, each in enumerate(bound):
            grown = reach[place].union(*(reach[other] for other in each))
            if len(grown) > len(reach[place]):
                reach[place], changed = grown, True
    return reach
