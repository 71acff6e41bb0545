"""What is known of a log template: who writes it, how often, since when, how severe."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from twofold.records.entity import DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateUse:
    """One entity's use of a template.

    Attributes:
        errors: Lines among them that tell of an error.
        severity: Highest OpenTelemetry SeverityNumber seen.
        series: sid of its rate as 16 hex digits; empty while it has none.
    """

    entity: str
    lines: int
    errors: int
    severity: int
    first_seen: datetime
    last_seen: datetime
    series: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTemplate:
    """Lines that one statement of a program wrote.

    Attributes:
        id: 16 hex digits, as in labels of `log.template_rate`.
        text: With `<*>` for what varies.
        example: The line that it was first seen in.
        forms: Texts of all its forms; what only seems constant is `<*>` here. Lines are told by them.
        uses: By entity, the most lines first.
    """

    id: str
    text: str
    example: str
    forms: tuple[str, ...] = field(default_factory=tuple)
    uses: tuple[TemplateUse, ...] = field(default_factory=tuple)
    tenant: str = DEFAULT_TENANT

    @property
    def lines(self) -> int:
        """Lines of all entities."""
        return sum(use.lines for use in self.uses)

    @property
    def errors(self) -> int:
        """Lines that tell of an error."""
        return sum(use.errors for use in self.uses)

    @property
    def severity(self) -> int:
        """Highest SeverityNumber seen."""
        return max((use.severity for use in self.uses), default=0)

    @property
    def first_seen(self) -> datetime:
        """Of the first entity. Raises `ValueError` when there is none."""
        return min(use.first_seen for use in self.uses)

    @property
    def last_seen(self) -> datetime:
        """Of the last entity. Raises `ValueError` when there is none."""
        return max(use.last_seen for use in self.uses)
