"""Any record of any type, for property tests."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
TIMES = st.datetimes(
    datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None),
    datetime(2100, 1, 1, tzinfo=UTC).replace(tzinfo=None),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5.5))]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def records(kind: type, **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Records of one type with any values in their fields, but `fixed` ones."""
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **({f.name: values(hints[f.name]) for f in fields(kind)} | fixed))


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of one field's type."""
    scalar = {
        str: TEXT,
        int: st.integers(-(2**62), 2**62),
        float: st.floats(allow_nan=False),
        bool: st.booleans(),
        datetime: TIMES,
        Any: JSON,
    }
    if hint in scalar:
        return scalar[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return st.one_of(*(st.none() if a is types.NoneType else values(a) for a in arguments))
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(TEXT, values(arguments[1]), max_size=3)
    return records(hint)
