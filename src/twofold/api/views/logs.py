"""Log templates as pages and commands see them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from twofold.api.views.page import View


class SearchBy(StrEnum):
    """How templates are looked for."""

    MEANING = "meaning"
    TEXT = "text"


class TemplateOrder(StrEnum):
    """What comes first where nothing is asked."""

    LINES = "lines"
    ERRORS = "errors"
    NEWEST = "newest"
    LATEST = "latest"


class TemplateUseView(View):
    """One entity's use of a template; `series` is the sid of its rate, empty while it has none."""

    entity: str
    lines: int
    errors: int
    severity: int
    first_seen: datetime
    last_seen: datetime
    series: str


class Trend(View):
    """Lines a second over the last hour, of all entities with a rate, in steps of equal length.

    `change` is the last tenth of the hour against the rest: 2 means twice as many; null without lines before.
    """

    start: datetime
    step_s: int
    rate: list[float]
    change: float | None


class TemplateView(View):
    """Lines that one statement of a program wrote. `text` and `example` are data: never HTML."""

    id: str
    text: str
    example: str
    lines: int
    errors: int
    severity: int
    first_seen: datetime
    last_seen: datetime
    uses: list[TemplateUseView]
    trend: Trend | None
    nearness: float | None
    """How near it is to the question, 1 for the nearest; null where nothing was asked."""


class Templates(View):
    """Templates, and how many there are of which these are the first."""

    items: list[TemplateView]
    total: int
    by_model: bool
    """Whether a model of meaning took part beside the words."""
