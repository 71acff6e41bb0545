"""The demo."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from twofold.api.views.page import View


class FaultView(View):
    """One thing that the demo can break."""

    name: str
    title: str
    description: str
    active: bool
    since: datetime | None


class Shop(View):
    """The demo's services."""

    services: list[str]


class Demo(View):
    """The demo beside this Twofold."""

    available: bool
    faults: list[FaultView]
    shop: Shop


class BreakFault(View):
    """How long; the fault's own default when left out."""

    seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
