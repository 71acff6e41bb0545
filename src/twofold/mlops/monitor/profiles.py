"""Reference profiles of registered versions, read once."""

from __future__ import annotations

import logging
from typing import Final

from twofold.errors import Corrupt, NotFound
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.model import ModelVersion
from twofold.records.profile import Profile
from twofold.store.blobs import Blobs
from twofold.store.ledger import Ledger

LOG: Final = logging.getLogger(__name__)


class Profiles:
    """Callable lookup for the drift stage. What was found stays in memory; what was not is asked again."""

    def __init__(self, ledger: Ledger, blobs: Blobs, *, tenant: str = DEFAULT_TENANT) -> None:
        self._ledger = ledger
        self._blobs = blobs
        self._tenant = tenant
        self._known: dict[tuple[str, str], Profile] = {}

    def __call__(self, model: str, version: str) -> Profile | None:
        """The profile of a version, or None when it is unknown, has none, or its stored one is damaged (logged)."""
        key = (model, version)
        if key in self._known:
            return self._known[key]
        try:
            registered = self._ledger.get(ModelVersion, f"{model}@{version}", tenant=self._tenant)
            if not registered.reference:
                return None
            found = Profile.from_bytes(self._blobs.get(registered.reference))
        except NotFound:
            return None
        except Corrupt as error:
            LOG.error("%s@%s is monitored without a reference: %s", model, version, error.message)  # noqa: TRY400 - the message says all
            return None
        self._known[key] = found
        return found
