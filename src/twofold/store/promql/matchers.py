"""Label matchers and regular expressions. They run in RE2 (through Arrow): linear in the text, whoever wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twofold.errors import InputError
from twofold.store.promql.values import Bools

_REFERENCE: Final = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))")
_GROUP: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\(\?P?<(\w+)>|\((?!\?)")
_MOST_REFERENCE: Final = 9  # RE2's rewrite knows one digit


class Op(StrEnum):
    """How a matcher compares."""

    EQUAL = "="
    UNEQUAL = "!="
    LIKE = "=~"
    UNLIKE = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label; a label that a series lacks counts as empty."""

    name: str
    op: Op
    value: str

    def of(self, texts: Sequence[str]) -> Bools:
        """Which of the texts match."""
        if self.op in {Op.EQUAL, Op.UNEQUAL}:
            found = np.fromiter((text == self.value for text in texts), bool, len(texts))
        else:
            found = full_match(self.value, texts)
        return found if self.op in {Op.EQUAL, Op.LIKE} else ~found

    def takes_empty(self) -> bool:
        """Whether a series without the label matches."""
        return bool(self.of([""])[0])


Conditions = tuple[tuple[Matcher, ...], ...]
"""Alternatives, each of conditions that hold together."""


def full_match(pattern: str, texts: Sequence[str]) -> Bools:
    """Which texts the pattern matches from end to end. Raises `InputError` for a bad pattern."""
    anchored = f"^(?s:{pattern})$"
    try:
        found = pc.match_substring_regex(pa.array(texts, pa.string()), anchored)
    except pa.ArrowInvalid as error:
        raise InputError(f"bad regular expression {pattern!r}: {error}", reason="regex") from error
    return np.asarray(found.to_numpy(zero_copy_only=False), bool)


def matching(labels: Sequence[Mapping[str, str]], conditions: Iterable[Matcher]) -> Bools:
    """Which label sets meet all conditions. Every distinct value is looked at once."""
    kept = np.ones(len(labels), bool)
    for matcher in conditions:
        texts = [each.get(matcher.name, "") for each in labels]
        distinct = list(dict.fromkeys(texts))
        good = dict(zip(distinct, matcher.of(distinct).tolist(), strict=True))
        kept &= np.fromiter((good[text] for text in texts), bool, len(texts))
    return kept


def expand(pattern: str, replacement: str, texts: Sequence[str]) -> list[str | None]:
    """Each text that the pattern matches from end to end, rewritten with `$1`, `${1}` or `${name}`; else None.

    >>> expand("(.*)-(?P<zone>.*)", "$zone/$1", ["a-b", "c"])
    ['b/a', None]

    Raises:
        InputError: A bad pattern, or a reference past the ninth group.
    """
    found = full_match(pattern, texts)
    rewritten = pc.replace_substring_regex(
        pa.array(texts, pa.string()), f"^(?s:{pattern})$", _rewrite(pattern, replacement), max_replacements=1
    ).to_pylist()
    return [text if match else None for text, match in zip(rewritten, found.tolist(), strict=True)]


def replaced(pattern: str, replacement: str, text: str) -> str:
    """The text with every match rewritten, by the same references. Raises `InputError`.

    >>> replaced("(a)b", "$1", "abab")
    'aa'
    """
    try:
        found = pc.replace_substring_regex(pa.array([text], pa.string()), pattern, _rewrite(pattern, replacement))
    except pa.ArrowInvalid as error:
        raise InputError(f"bad regular expression {pattern!r}: {error}", reason="regex") from error
    return str(found[0].as_py())


def _rewrite(pattern: str, replacement: str) -> str:
    """A Go template as an RE2 rewrite. A reference to a group that is not there is empty, as in Go."""
    groups = [match[1] or "" for match in _GROUP.finditer(pattern) if match[0].startswith("(")]
    numbers = {name: number for number, name in enumerate(groups, 1) if name}

    def reference(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        name = match[2] or match[3]
        number = int(name) if name.isdigit() else numbers.get(name, len(groups) + 1)
        if number > len(groups):
            return ""
        if number > _MOST_REFERENCE:
            raise InputError(f"${name} is past the ninth group; use fewer groups", reason="regex")
        return f"\\{number}"

    return _REFERENCE.sub(reference, replacement.replace("\\", "\\\\"))
