"""Functions of labels alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from twofold.errors import InputError
from twofold.store.promql.matchers import expand
from twofold.store.promql.values import Labels, Vector, make_labels, renamed

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def label_replace(vector: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    """Set `target` to the replacement where `source` matches the pattern from end to end. Raises `InputError`."""
    _check(target)
    texts = [dict(labels).get(source, "") for labels in vector.labels]
    made = expand(pattern, replacement, texts)
    labels = [old if new is None else _set(old, target, new) for old, new in zip(vector.labels, made, strict=True)]
    return renamed(vector, labels)


def label_join(vector: Vector, target: str, between: str, sources: Sequence[str]) -> Vector:
    """Set `target` to the values of `sources`. Raises `InputError`."""
    _check(target)
    known = [dict(labels) for labels in vector.labels]
    made = [between.join(each.get(source, "") for source in sources) for each in known]
    return renamed(vector, [_set(old, target, new) for old, new in zip(vector.labels, made, strict=True)])


def _set(labels: Labels, name: str, value: str) -> Labels:
    return make_labels((dict(labels) | {name: value}).items())


def _check(name: str) -> None:
    if not _LABEL.fullmatch(name):
        raise InputError(f"invalid destination label name {name!r}", reason="execution")
