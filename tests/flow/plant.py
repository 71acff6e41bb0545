"""Twofold without its listeners: real stores, the real pipeline, real releases, and a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
import orjson

from tests.telemetry import samples_frame
from twofold.aiops.respond.actions import Actions
from twofold.aiops.respond.responder import Responder
from twofold.aiops.respond.runbooks import load_runbooks
from twofold.app.stages import builder
from twofold.config import Config
from twofold.flow.decode import decode
from twofold.flow.runner import Runner
from twofold.flow.sink import LedgerSink
from twofold.joints.detectors import Released
from twofold.joints.promotions import Promotions
from twofold.joints.remedies import RetrainModel, RollbackModel
from twofold.mlops.monitor.profiles import Profiles
from twofold.mlops.registry.registry import Registry
from twofold.mlops.release.releases import Releases
from twofold.records.codec import to_json
from twofold.records.entity import Edge, Relation
from twofold.records.frame import Frame, FrameKind
from twofold.records.model import Candidate, Field, GateResult, ModelKind, ModelVersion
from twofold.records.series import Origin, SeriesKind
from twofold.records.time import SECOND_NS, to_datetime
from twofold.store.blobs.files import FileBlobs
from twofold.store.catalog.files import FileCatalog
from twofold.store.journal.segments import SegmentJournal
from twofold.store.ledger.sql import open_ledger

START_NS = 1_767_225_600 * SECOND_NS
STEP_S = 5
SERIES = {
    "shop latency": ("service:shop", "span.duration.p95", "s", Origin.SPAN, 0.12, 0.01),
    "shop errors": ("service:shop", "span.error_ratio", "1", Origin.SPAN, 0.0, 0.0),
    "model latency": ("model:recommender", "model.latency.p95", "s", Origin.MODEL, 0.02, 0.002),
    "model errors": ("model:recommender", "model.error_ratio", "1", Origin.MODEL, 0.0, 0.0),
    "model output": ("model:recommender", "model.output.psi", "", Origin.MODEL, 0.03, 0.005),
}
"""Entity, metric, unit, origin, level and noise of everything the plant measures."""
GATE = GateResult(name="roc_auc", passed=True, value=0.8, limit=0.7, text="0.80 of at least 0.70")


class Plant:
    """A shop that asks a model, measured every five seconds."""

    def __init__(self, home: Path) -> None:
        self.now_ns = START_NS
        self.ledger = open_ledger(home / "ledger.sqlite")
        self.blobs = FileBlobs(home / "blobs")
        self.catalog = FileCatalog(home / "catalog")
        self.journal = SegmentJournal(home / "journal")
        self.registry = Registry(self.ledger, self.blobs, self.now)
        self.releases = Releases(self.ledger, self.now)
        self.released = Released(self.ledger, self.blobs)
        self.released.ensure()
        self.promotions = Promotions(self.ledger, self.journal, lambda: self.now_ns)
        self.actions = Actions(RollbackModel(self.ledger), RetrainModel(self.ledger))
        self.runbooks = load_runbooks([], self.actions)
        self.responder = Responder(self.ledger, runbooks=self.runbooks, actions=self.actions)
        self._build = builder(
            Config(home=home), self.catalog, self.ledger, Profiles(self.ledger, self.blobs), self.released
        )
        self.runner = self._runner()
        self._told = 0
        self.follow()
        calls = Edge(source="service:shop", target="model:recommender", relation=Relation.CALLS)
        content = orjson.dumps({"entities": [], "edges": [to_json(calls)]})
        self.journal.append([Frame(kind=FrameKind.TOPOLOGY, payload=content, time_ns=self.now_ns, rows=1)])
        self._random = np.random.default_rng(3)
        self._sids = {
            name: self.catalog.register(
                metric,
                {"entity": entity},
                entity=entity,
                tenant="main",
                unit=unit,
                kind=SeriesKind.GAUGE,
                origin=origin,
            )[0]
            for name, (entity, metric, unit, origin, _, _) in SERIES.items()
        }

    def _runner(self) -> Runner:
        sink = LedgerSink(self.journal, self.ledger, follow=[self.responder.follow])
        return Runner(self.journal, 0, decode=decode, build=self._build, sink=sink, blobs=self.blobs)

    def restart(self) -> None:
        """Stop after a checkpoint and go on as another process would."""
        self.runner.checkpoint()
        self.runner = self._runner()
        self.runner.restore()

    def close(self) -> None:
        """Release files."""
        self.journal.close()
        self.ledger.close()

    def now(self) -> datetime:
        """The plant's time."""
        return to_datetime(self.now_ns)

    def follow(self) -> int:
        """Send on what was released since, as the first process does; returns how many releases."""
        changes = self.ledger.changes(self._told)
        self._told = self.ledger.head()
        return self.promotions.follow(changes)

    def run(self, seconds: float, faults: Mapping[str, float] | None = None) -> None:
        """Measure for so long; `faults` adds to the level of a series."""
        for _ in range(int(seconds / STEP_S)):
            self.now_ns += STEP_S * SECOND_NS
            rows = [
                (self._sids[name], self.now_ns, self._value(level, noise) + (faults or {}).get(name, 0.0))
                for name, (*_, level, noise) in SERIES.items()
            ]
            self.journal.append([samples_frame(rows, time_ns=self.now_ns)])
        self.runner.work_off()

    def register(self, *, run: str, artifact: bytes) -> ModelVersion:
        """A version of the shop's model that passed its gate."""
        candidate = Candidate(
            model="recommender",
            kind=ModelKind.SERVED,
            format="onnx",
            artifact=self.blobs.add(artifact),
            run=run,
            dataset="prices@0123456789abcdef",
            inputs=(Field(name="price", datatype="FP64"), Field(name="age", datatype="FP64")),
            outputs=(Field(name="score", datatype="FP64"),),
            owner="ann",
        )
        return self.registry.register(candidate, [GATE])

    def _value(self, level: float, noise: float) -> float:
        return max(0.0, level + noise * float(self._random.standard_normal()))


class Steps:
    """A workflow's context that runs each step once, with a way to act while the workflow waits."""

    workflow_id = "w"

    def __init__(self, between: Callable[[str], object] = lambda _step: None) -> None:
        self.ran: list[str] = []
        self._between = between

    def step(self, name: str, call: Callable[[], object], *, idempotent: bool, timeout_s: float = 60.0) -> object:
        """Call it, after telling that it comes."""
        del idempotent, timeout_s
        self._between(name)
        self.ran.append(name)
        return call()

    def receive(self, topic: str, timeout_s: float) -> object:
        """Nobody sends anything."""
        del topic, timeout_s
        return None

    def sleep(self, seconds: float) -> None:
        """No need to wait."""
        del seconds
