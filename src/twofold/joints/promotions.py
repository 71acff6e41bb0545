"""Joint 3: promotions are changes. Every release reaches the pipeline as a change event, with the version's lineage.

It goes through the journal like a deploy that came from outside, so live, replay and backtest see it alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

import orjson

from twofold.joints.lineage import lineage
from twofold.mlops.release.releases import change_of
from twofold.records.event import Event
from twofold.records.frame import Frame, FrameKind
from twofold.records.model import ModelKind, ModelVersion, Release
from twofold.store.journal import Journal
from twofold.store.ledger import Change, Ledger


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
        """One release: its lineage first, then the change. Durable when it returns."""
        version = self._ledger.get(ModelVersion, f"{release.model}@{release.version}", tenant=release.tenant)
        frames = [lineage_frame(version, self._now_ns())]
        if version.kind is ModelKind.SERVED or release.seq > 1:
            frames.append(event_frame(change_of(release), self._now_ns()))
        self._journal.append(frames)


def lineage_frame(version: ModelVersion, time_ns: int) -> Frame:
    """A version's lineage as a frame."""
    entities, edges = lineage(version)
    payload = orjson.dumps({"entities": [asdict(e) for e in entities], "edges": [asdict(e) for e in edges]})
    return Frame(
        kind=FrameKind.TOPOLOGY,
        payload=payload,
        time_ns=time_ns,
        rows=len(entities) + len(edges),
        tenant=version.tenant,
    )


def event_frame(event: Event, time_ns: int) -> Frame:
    """One event as a frame."""
    return Frame(
        kind=FrameKind.EVENTS, payload=orjson.dumps([asdict(event)]), time_ns=time_ns, rows=1, tenant=event.tenant
    )
