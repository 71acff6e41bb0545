"""Replays captures through the whole chain in one process: receivers, stages, ledger. As fast as it goes, no clock.

Live, replay and backtest are the same code; here the receivers' clock is the capture's.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from twofold.aiops.ingest.capture import Captured, read_capture
from twofold.aiops.ingest.counts import Counts
from twofold.aiops.ingest.ingest import Ingest
from twofold.app.stages import builder
from twofold.config import Config
from twofold.errors import TwofoldError
from twofold.flow.decode import decode
from twofold.flow.memory import MemoryJournal
from twofold.flow.runner import Runner
from twofold.flow.sink import LedgerSink
from twofold.flow.workflow import Json
from twofold.joints.detectors import Released
from twofold.joints.promotions import Promotions
from twofold.mlops import pipeline
from twofold.mlops.monitor.profiles import Profiles
from twofold.mlops.release.releases import Releases
from twofold.records.codec import to_json
from twofold.records.diagnosis import Diagnosis
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.incident import Incident
from twofold.records.model import ReleaseStage
from twofold.records.time import SECOND_NS
from twofold.store.blobs.files import FileBlobs
from twofold.store.catalog.files import FileCatalog
from twofold.store.ledger import Ledger
from twofold.store.ledger.sql import open_ledger

LIMIT: Final = 1000
_DRAIN_EVERY: Final = 200


class Replay:
    """One folder with trained models; each capture is replayed over a copy of it.

    Args:
        home: An empty folder.
        projects: Folders whose projects are trained and released first, as the captured system had them live.
    """

    def __init__(self, home: Path, projects: Sequence[Path] = ()) -> None:
        self._home = home
        self._base = home / "base"
        self._base.mkdir(parents=True)
        self._count = 0
        ledger = open_ledger(self._base / "ledger.sqlite")
        try:
            for folder in projects:
                _train(ledger, FileBlobs(self._base / "blobs"), folder)
        finally:
            ledger.close()

    def run(self, capture: Path, tell: Callable[[int], None] = lambda _done: None) -> list[dict[str, Any]]:
        """Every incident that came out, each with its diagnosis, as JSON; oldest first.

        Args:
            capture: Written by `twofold up --capture`.
            tell: Hears how many requests are done.

        Raises:
            Corrupt: The capture is torn or not one.
        """
        self._count += 1
        home = self._home / str(self._count)
        shutil.copytree(self._base, home)
        ledger = open_ledger(home / "ledger.sqlite")
        try:
            self._push(home, ledger, capture, tell)
            return list(_incidents(ledger))
        finally:
            ledger.close()

    @staticmethod
    def _push(home: Path, ledger: Ledger, capture: Path, tell: Callable[[int], None]) -> None:
        config = Config(home=home)
        blobs, catalog, journal = FileBlobs(home / "blobs"), FileCatalog(home / "catalog"), MemoryJournal()
        clock = _Clock()
        ingest = Ingest(journal, catalog, Counts(), config.ingest, now_ns=clock.now_ns)
        released = Released(ledger, blobs)
        released.ensure()
        runner = Runner(
            journal,
            0,
            decode=decode,
            build=builder(config, catalog, ledger, Profiles(ledger, blobs), released),
            sink=LedgerSink(journal, ledger),
            blobs=blobs,
        )
        promotions = Promotions(ledger, journal, clock.now_ns)
        for number, request in enumerate(read_capture(capture), 1):
            if number == 1:
                clock.time_ns = request.time_ns
                promotions.follow(ledger.changes(0, LIMIT))
            for second_ns in clock.until(request):
                clock.time_ns = second_ns
                ingest.tick()
            clock.time_ns = request.time_ns
            ingest.replay(request)
            if number % _DRAIN_EVERY == 0:
                runner.work_off()
                tell(number)
        runner.work_off()


class _Clock:
    """The receivers' clock, turned by the capture."""

    def __init__(self) -> None:
        self.time_ns = 0

    def now_ns(self) -> int:
        return self.time_ns

    def until(self, request: Captured) -> range:
        """Whole seconds between now and the request, at which a live Twofold would have ticked."""
        first = (self.time_ns // SECOND_NS + 1) * SECOND_NS
        return range(first, request.time_ns, SECOND_NS)


def _incidents(ledger: Ledger) -> Iterator[dict[str, Any]]:
    found = ledger.find(Incident, tenant=DEFAULT_TENANT, limit=LIMIT, newest_first=False)
    diagnoses = {one.incident: one for one in ledger.find(Diagnosis, tenant=DEFAULT_TENANT, limit=LIMIT)}
    for incident in found:
        diagnosis = diagnoses.get(incident.id)
        yield {"incident": to_json(incident), "diagnosis": to_json(diagnosis) if diagnosis else None}


def _train(ledger: Ledger, blobs: FileBlobs, folder: Path) -> None:
    """Train and release one project at once, without the worker."""
    project = pipeline.register_project(ledger, folder)
    outcome = pipeline.Pipeline(ledger, blobs).run(_AtOnce(), {"project": project.id, "tenant": project.tenant})
    if outcome["error"] or not outcome["gates_passed"]:
        raise TwofoldError(f"project {project.id} could not be trained: {outcome['error'] or 'a gate failed'}")
    for stage in (ReleaseStage.SHADOW, ReleaseStage.LIVE):
        Releases(ledger).release(
            project.model, outcome["version"], stage, approver="replay", reason="live when it was captured"
        )


class _AtOnce:
    """A workflow's context that records nothing: a replay that dies is begun again."""

    def __init__(self) -> None:
        self.workflow_id = f"run-{uuid.uuid4().hex[:16]}"

    def step(self, name: str, call: Callable[[], Json], *, idempotent: bool, timeout_s: float = 60.0) -> Json:
        """Call it."""
        del name, idempotent, timeout_s
        return call()

    def receive(self, topic: str, timeout_s: float) -> Json | None:
        """Nobody sends anything."""
        del topic, timeout_s
        return None

    def sleep(self, seconds: float) -> None:
        """No need to wait."""
        del seconds
