"""How right the templates are, from the published definitions.

Source: Khan et al., "Guidelines for Assessing the Accuracy of Log Message Template Identification Techniques" (ICSE
2022) for PA and FTA; Jiang et al., "A Large-scale Evaluation for Log Parsing Techniques" (ISSTA 2024) for FGA.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import Final

STAR: Final = "<*>"
KEYS: Final = ("ga", "fga", "pa", "fta")
_SPLIT: Final = re.compile(r"""([\s,:;=()\[\]{}"'|])""")
_NUMBER: Final = re.compile(r"[-+]?\d+(\.\d+)?")
_RUN: Final = re.compile(r"<\*>[,:]?\s?<\*>")


def normal(template: str) -> str:
    """A lenient form: a word that holds a wildcard is one, numbers are, and wildcards in a row are one.

    >>> normal("took 5 ms, core.<*> <*>")
    'took <*> ms, <*>'
    """
    words = _SPLIT.split(re.sub(r"\s+", " ", template.strip()))
    text = "".join(STAR if STAR in word or _NUMBER.fullmatch(word) else word for word in words)
    while (shorter := _RUN.sub(STAR, text)) != text:
        text = shorter
    return text


def groups(keys: Sequence[Hashable]) -> set[frozenset[int]]:
    """Lines with equal keys."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for line, key in enumerate(keys):
        found[key].append(line)
    return {frozenset(lines) for lines in found.values()}


def f1(right: int, given: int, wanted: int) -> float:
    """Harmonic mean of precision and recall."""
    return 2 * right / (given + wanted) if right else 0.0


def score(truth: Sequence[str], ids: Sequence[Hashable], templates: Sequence[str]) -> dict[str, float]:
    """Figures of one system.

    Returns:
        `ga`: share of lines whose group is exactly the true one. `fga`: F1 over groups. `pa`: share of lines whose
        template is right. `fta`: F1 over templates whose lines and text are both right.
    """
    wanted, own = groups(truth), groups(ids)
    right = wanted & own
    labels, given = [normal(t) for t in truth], [normal(t) for t in templates]
    behind: dict[str, set[str]] = defaultdict(set)
    for label, text in zip(labels, given, strict=True):
        behind[text].add(label)
    return {
        "ga": sum(map(len, right)) / len(truth),
        "fga": f1(len(right), len(own), len(wanted)),
        "pa": sum(a == b for a, b in zip(labels, given, strict=True)) / len(truth),
        "fta": f1(sum(seen == {text} for text, seen in behind.items()), len(behind), len(set(labels))),
    }
