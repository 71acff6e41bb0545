"""Versions of our own detectors, and what they would have done."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from twofold.api.views.page import Moment, Name, Text, View

RULES_MOST: Final = 400_000
"""Characters of a rule file."""


class NewDetector(View):
    """The live settings with these changed."""

    settings: dict[str, Any] = Field(max_length=100)
    description: Text = ""


class NewRules(View):
    """A Prometheus rule file under a name; the same text again is the version that it was."""

    name: Name
    rules: str = Field(max_length=RULES_MOST)
    description: Text = ""


class NewLabel(View):
    """Something known of the period: what was wrong, and who caused it. `noise`: not worth a page."""

    name: Name
    start: Moment
    end: Moment
    entities: tuple[Name, ...] = ()
    noise: bool = False


class NewBacktest(View):
    """Which version to replay over which period. Without `version` the live one; without labels, verdicts speak.

    With `rules`, the text of a Prometheus rule file, its alerts are replayed instead of a detector. Where `model` is
    the name of rules that were imported, those are; without `version` the newest.
    """

    model: Name = "panel"
    version: str = Field(default="", max_length=20)
    start: Moment
    end: Moment
    rules: str | None = Field(default=None, max_length=RULES_MOST)
    warm_up_s: float = Field(default=3600.0, ge=0.0, le=30 * 86_400.0)
    labels: tuple[NewLabel, ...] = Field(default=(), max_length=2000)
