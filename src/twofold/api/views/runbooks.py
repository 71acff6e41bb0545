"""Executions of runbooks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from twofold.api.views.page import Name, View


class NewExecution(View):
    """Ask for a remedy."""

    runbook: Name
    incident: Annotated[str, Field(max_length=200)] = ""
    arguments: Mapping[str, Any] = Field(default_factory=dict)
    dry_run: bool = False


class Approval(View):
    """The hash of what was shown: an approval of anything else is refused."""

    approval_hash: Annotated[str, Field(min_length=64, max_length=64)]


class Decision(View):
    """What an UNKNOWN step did."""

    step: Name
    outcome: Literal["succeeded", "failed"]


class KillSwitch(View):
    """While engaged no remedy starts."""

    engaged: bool
    changed: datetime | None = None
    author: str = ""


class SetKillSwitch(View):
    """The wished position."""

    engaged: bool
