"""Relabel rules with Prometheus's semantics, compiled once, applied when a series is first seen.

Source: Prometheus documentation, "relabel_config"; Go's `regexp.Expand` for what `${1}` means.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from twofold.aiops.ingest.clean.config import Action, RelabelRule, compiled

_REFERENCE: Final = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")

Labels = dict[str, str]


class Relabel:
    """A list of rules.

    >>> rules = [RelabelRule(action=Action.LABELDROP, regex="tmp_.*")]
    >>> Relabel(rules).apply({"a": "1", "tmp_b": "2"})
    {'a': '1'}
    """

    def __init__(self, rules: Sequence[RelabelRule]) -> None:
        self._steps = [_Step(rule) for rule in rules]

    def apply(self, labels: Mapping[str, str]) -> Labels | int:
        """The labels after all rules, or the number of the rule that drops them, from 0. Empty values are none."""
        found = {name: value for name, value in labels.items() if value}
        for number, step in enumerate(self._steps):
            if not step.run(found):
                return number
        return found


class _Step:
    """One rule; `run` changes the labels in place and tells whether they stay."""

    def __init__(self, rule: RelabelRule) -> None:
        self._rule = rule
        self._match = compiled(rule.regex, "ingest.clean.relabel").fullmatch
        self._run: Callable[[Labels, str], bool] = {
            Action.REPLACE: self._replace,
            Action.KEEP: lambda _, value: self._match(value) is not None,
            Action.DROP: lambda _, value: self._match(value) is None,
            Action.KEEPEQUAL: lambda labels, value: labels.get(rule.target_label, "") == value,
            Action.DROPEQUAL: lambda labels, value: labels.get(rule.target_label, "") != value,
            Action.HASHMOD: self._hash,
            Action.LABELMAP: self._map,
            Action.LABELDROP: self._drop_names,
            Action.LABELKEEP: self._keep_names,
            Action.LOWERCASE: lambda labels, value: _put(labels, rule.target_label, value.lower()),
            Action.UPPERCASE: lambda labels, value: _put(labels, rule.target_label, value.upper()),
        }[rule.action]

    def run(self, labels: Labels) -> bool:
        value = self._rule.separator.join(labels.get(name, "") for name in self._rule.source_labels)
        return self._run(labels, value)

    def _replace(self, labels: Labels, value: str) -> bool:
        match = self._match(value)
        if match is None:
            return True
        target = expand(match, self._rule.target_label)
        return _put(labels, target, expand(match, self._rule.replacement)) if _LABEL.fullmatch(target) else True

    def _hash(self, labels: Labels, value: str) -> bool:
        digest = hashlib.md5(value.encode(), usedforsecurity=False).digest()
        return _put(labels, self._rule.target_label, str(int.from_bytes(digest[8:], "big") % self._rule.modulus))

    def _map(self, labels: Labels, _: str) -> bool:
        for name, value in list(labels.items()):
            match = self._match(name)
            if match is not None:
                _put(labels, expand(match, self._rule.replacement), value)
        return True

    def _drop_names(self, labels: Labels, _: str) -> bool:
        for name in [name for name in labels if self._match(name)]:
            del labels[name]
        return True

    def _keep_names(self, labels: Labels, _: str) -> bool:
        for name in [name for name in labels if not self._match(name)]:
            del labels[name]
        return True


def _put(labels: Labels, name: str, value: str) -> bool:
    """Set a label; an empty value takes it away."""
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)
    return True


def expand(match: re.Match[str], template: str) -> str:
    r"""The template with `$1`, `${1}`, `$name` and `${name}` as Go expands them.

    The longest name counts (`$1x` is the group called "1x"); a group that is not there is empty; `$$` is a dollar.

    >>> found = re.fullmatch("(a)(b)", "ab")
    >>> expand(found, "${1}x-$2"), expand(found, "$1x"), expand(found, "$$1"), expand(found, "5 $")
    ('ax-b', '', '$1', '5 $')
    """

    def group(reference: re.Match[str]) -> str:
        if reference[1]:
            return "$"
        name = reference[2] or reference[3]
        try:
            return match[int(name) if name.isdecimal() else name] or ""
        except IndexError:
            return ""

    return _REFERENCE.sub(group, template)
