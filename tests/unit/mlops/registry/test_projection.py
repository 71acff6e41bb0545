"""A tracker's aliases follow the release ledger."""

from __future__ import annotations

from collections.abc import Mapping

from tests.unit.mlops import toys
from twofold.mlops.registry.projection import Projection
from twofold.mlops.registry.tracking import NullTracking
from twofold.mlops.release.releases import Releases
from twofold.records.model import ReleaseStage
from twofold.store.blobs.files import FileBlobs
from twofold.store.ledger.sql import SqlLedger


class Pointed(NullTracking):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Mapping[str, str]]] = []

    def point(self, model: str, aliases: Mapping[str, str]) -> bool:
        self.told.append((model, aliases))
        return True


def test_each_released_model_is_pointed_once_a_round(ledger: SqlLedger, blobs: FileBlobs) -> None:
    tracking = Pointed()
    projection = Projection(ledger, tracking)
    toys.put_live(ledger, toys.register(ledger, blobs, b"1"))
    toys.register(ledger, blobs, b"2")
    Releases(ledger).release("toy", "2", ReleaseStage.SHADOW, approver="ann", reason="try")
    projection.follow(ledger.changes(0))
    assert tracking.told == [("toy", {"live": "1", "shadow": "2"})]
    seen = ledger.head()
    Releases(ledger).release("toy", "2", ReleaseStage.LIVE, approver="ann", reason="go")
    projection.follow(ledger.changes(seen))
    assert tracking.told[1:] == [("toy", {"live": "2"})]
