"""The system itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from twofold.api.views.page import View


class Live(View):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(View):
    """Parts that are not ready, with the reason."""

    ready: bool
    problems: Mapping[str, str]


class ChangeNotice(View):
    """`data` of a Server-Sent Event named `change`."""

    seq: int
    table: str
    id: str
