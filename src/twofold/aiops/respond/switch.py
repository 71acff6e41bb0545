"""The kill switch: one setting in the ledger that every process asks before every step."""

from __future__ import annotations

from typing import Final

from twofold.errors import NotFound
from twofold.records.access import Setting
from twofold.store.ledger import Ledger

KILL_SWITCH: Final = "kill-switch"
ENGAGED: Final = "engaged"
RELEASED: Final = "released"


def kill_switch(ledger: Ledger, tenant: str) -> Setting | None:
    """The switch as last set; None when nobody ever touched it."""
    try:
        return ledger.get(Setting, KILL_SWITCH, tenant=tenant)
    except NotFound:
        return None


def halted(ledger: Ledger, tenant: str) -> bool:
    """Whether no step may begin."""
    setting = kill_switch(ledger, tenant)
    return setting is not None and setting.value == ENGAGED
