"""Joint 3: promotions are changes. A release that changes who answers reaches the pipeline as a change event.

It goes through the journal like a deploy that came from outside, so live, replay and backtest see it alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import orjson

from twofold.joints.lineage import lineage
from twofold.mlops.release.releases import change_of
from twofold.records.codec import to_json
from twofold.records.event import Event
from twofold.records.frame import Frame, FrameKind
from twofold.records.model import ModelKind, ModelVersion, Release, ReleaseStage
from twofold.store.journal import Journal
from twofold.store.journal.codec import encode_events
from twofold.store.ledger import Change, Ledger

_CHANGES: Final = frozenset({ReleaseStage.CANARY, ReleaseStage.LIVE, ReleaseStage.ROLLED_BACK})


class Promotions:
    """Follows the ledger's releases and sends each on into the journal.

    A crash may send one again: event ids are deterministic, stages and ledger take the same id once.
    """

    def __init__(self, ledger: Ledger, journal: Journal, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._ledger = ledger
        self._journal = journal
        self._now_ns = now_ns

    def follow(self, changes: Sequence[Change]) -> int:
        """Send the releases among these changes; returns how many."""
        found = [
            self._ledger.get(Release, change.id, tenant=change.tenant)
            for change in changes
            if change.table == "releases"
        ]
        for release in found:
            self.send(release)
        return len(found)

    def send(self, release: Release) -> None:
        """One release: lineage of what answers now first, then the change. Durable when it returns.

        A shadow answers nobody, so it can break nothing: it is no change, and none is told when a version retires.
        """
        versions = [
            self._ledger.get(ModelVersion, f"{release.model}@{number}", tenant=release.tenant)
            for number in _deployed(release)
        ]
        frames = [lineage_frame(version, self._now_ns()) for version in versions]
        served = any(version.kind is ModelKind.SERVED for version in versions)
        if release.stage in _CHANGES and (served or release.seq > 1):
            frames.append(event_frame(change_of(release), self._now_ns()))
        if frames:
            self._journal.append(frames)


def _deployed(release: Release) -> list[str]:
    """Versions whose lineage stands after a release, the one that most requests reach last."""
    if release.stage is ReleaseStage.LIVE:
        return [release.version]
    if release.stage is ReleaseStage.ROLLED_BACK:
        return [release.previous]
    if release.stage is ReleaseStage.CANARY:
        return [release.version, release.previous]
    return [release.version] if release.stage is ReleaseStage.SHADOW and not release.previous else []


def lineage_frame(version: ModelVersion, time_ns: int) -> Frame:
    """A version's lineage as a frame."""
    entities, edges = lineage(version)
    payload = orjson.dumps({"entities": to_json(entities), "edges": to_json(edges)})
    return Frame(
        kind=FrameKind.TOPOLOGY,
        payload=payload,
        time_ns=time_ns,
        rows=len(entities) + len(edges),
        tenant=version.tenant,
    )


def event_frame(event: Event, time_ns: int) -> Frame:
    """One event as a frame."""
    return Frame(kind=FrameKind.EVENTS, payload=encode_events([event]), time_ns=time_ns, rows=1, tenant=event.tenant)
