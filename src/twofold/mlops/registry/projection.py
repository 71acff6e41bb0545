"""Who answers now, copied to the tracker as aliases: `live`, `canary`, `shadow` of each model."""

from __future__ import annotations

from collections.abc import Sequence

from twofold.mlops.registry.tracking import Tracking
from twofold.mlops.traffic import chain, fold
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.model import Release
from twofold.store.ledger import Change, Ledger


class Projection:
    """Keeps a tracker's aliases as the release ledger says; to be told of changes by whoever follows the ledger."""

    def __init__(self, ledger: Ledger, tracking: Tracking) -> None:
        self._ledger = ledger
        self._tracking = tracking

    def follow(self, changes: Sequence[Change]) -> None:
        """Point the aliases of every model with a new release, each model once."""
        released = {(change.tenant, change.id) for change in changes if change.table == "releases"}
        models = {(tenant, self._ledger.get(Release, key, tenant=tenant).model) for tenant, key in released}
        for tenant, model in sorted(models):
            self.point(model, tenant=tenant)

    def point(self, model: str, *, tenant: str = DEFAULT_TENANT) -> bool:
        """Make the tracker's aliases those of now; whether that was done. Of several canaries the newest has it."""
        table = fold(chain(self._ledger, model, tenant=tenant)).table()
        return self._tracking.point(model, {stage.value: version for version, stage, _ in table})
