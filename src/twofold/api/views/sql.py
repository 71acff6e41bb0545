"""Bodies of our own read-only SQL."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from twofold.api.views.page import Moment, View


class NewQuery(View):
    """One SELECT over `samples`, `logs`, `spans`, `predictions` and `series`.

    A narrow span of time spares reading most files.
    """

    sql: Annotated[str, Field(min_length=1, max_length=20_000)]
    start: Moment | None = None
    end: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000


class Column(View):
    """Name and type of one column of an answer."""

    name: str
    type: str


class Rows(View):
    """Rows of an answer. Whole numbers past 2^53 are text, because JSON numbers lose bits there."""

    columns: list[Column]
    rows: list[list[Any]]
    truncated: bool
    """Whether there are more rows than asked for."""
