"""The stages of all partitions over one folder, without listeners: restarted, rescaled, and with a clock of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from twofold.aiops.ingest.counts import Counts
from twofold.aiops.ingest.intake import Intake, event_outcome
from twofold.aiops.ingest.rows import RowList
from twofold.app.partitions import rescale, wire
from twofold.app.stores import open_stores
from twofold.config import Config
from twofold.joints.detectors import Released
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.event import Event
from twofold.records.finding import Finding
from twofold.records.frame import FrameKind, Lane
from twofold.records.slo import Slo
from twofold.records.time import SECOND_NS

ALL = 99
START_NS = 1_767_225_600 * SECOND_NS
Values = Mapping[tuple[str, str], float]
"""A value of each (metric, entity)."""


class Fleet:
    """What is sent at one time is worked off by every partition before the next comes."""

    def __init__(self, home: Path, partitions: int = 1, *, slos: tuple[Slo, ...] = ()) -> None:
        self.now_ns = START_NS
        self.config = Config(home=home, slos=slos)
        self.open(partitions)

    def open(self, partitions: int) -> None:
        """Start with that number of partitions."""
        self.config = replace(self.config, partitions=partitions)
        rescale(self.config)
        self.stores = open_stores(self.config)
        released = Released(self.stores.ledger, self.stores.blobs)
        released.ensure()
        self.runners, self.sinks = wire(self.config, self.stores, released, ())
        for runner in self.runners:
            runner.restore()
        self.intake = Intake(
            self.stores.journal, self.stores.catalog, Counts(), self.config.ingest, clock_ns=lambda: self.now_ns
        )

    def close(self, *, saved: int = ALL) -> None:
        """Stop after a checkpoint of so many partitions, those of the others are older."""
        for runner in self.runners[:saved]:
            runner.checkpoint()
        self.stores.close()

    def restart(self, partitions: int, *, saved: int = ALL) -> None:
        """Another process, maybe with more partitions."""
        self.close(saved=saved)
        self.open(partitions)

    def send(self, moments: Sequence[tuple[int, Values]], *, work: bool = True) -> None:
        """Samples at these times."""
        rows = RowList()
        for time_ns, values in moments:
            for (metric, entity), value in values.items():
                sid = self.intake.index.resolve(metric, {"entity": entity}, entity=entity, tenant=DEFAULT_TENANT)
                rows.add(sid, time_ns, value)
                rows.next_point()
        self.now_ns = max(self.now_ns, moments[-1][0] + SECOND_NS)
        origin = self.intake.origin(DEFAULT_TENANT, Lane.LIVE)
        self.intake.samples(rows.rows(), origin, None)
        if work:
            self.work()

    def batch(self, kind: FrameKind, batch: pa.RecordBatch) -> None:
        """Lines or spans, not worked off yet."""
        origin = self.intake.origin(DEFAULT_TENANT, Lane.LIVE)
        self.intake.batch(kind, batch, event_outcome(1), origin)

    def events(self, *events: Event) -> None:
        """Changes or alerts from outside, not worked off yet."""
        self.intake.events(events, event_outcome(len(events)), self.intake.origin(DEFAULT_TENANT, Lane.LIVE))

    def work(self, *, lagging: bool = False) -> None:
        """The receivers' clock, and all that is durable; the first partition last, or without those that lag."""
        self.intake.tick()
        for runner in reversed(self.runners[:1] if lagging else self.runners):
            runner.work_off()

    def findings(self) -> dict[str, Finding]:
        """As the ledger has them."""
        return {each.id: each for each in self.stores.ledger.find(Finding, tenant=DEFAULT_TENANT, limit=10_000)}

    def failures(self) -> int:
        """Stages that raised, and frames that could not be read."""
        return sum(r.stage_failures().total() + r.progress.poisoned + r.progress.refused_builds for r in self.runners)


def wave(seed: int, steps: int) -> np.ndarray:
    """A level with noise."""
    rng = np.random.default_rng(seed)
    found: np.ndarray = 50 + 10 * (seed % 5) + rng.standard_normal(steps)
    return found
