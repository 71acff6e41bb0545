"""From a webhook to a finding: what pipelines tell is telemetry like any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette

from tests.flow.plant import Plant
from tests.unit.ingest.null import Client
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts
from twofold.aiops.ingest.ingest import Ingest
from twofold.records.entity import Entity
from twofold.records.finding import Finding
from twofold.records.frame import FrameKind, Position, Source
from twofold.records.time import MINUTE_NS, SECOND_NS, to_datetime
from twofold.store.journal.codec import decode_payload

REPOSITORY = {"name": "cart", "full_name": "shop/cart", "default_branch": "main"}


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    made = Plant(tmp_path)
    yield made
    made.close()


class Hooks:
    """Receivers over the plant's own journal."""

    def __init__(self, plant: Plant, home: Path) -> None:
        self.plant = plant
        self.ingest = Ingest(
            plant.journal, plant.catalog, Counts(), IngestConfig(), now_ns=lambda: plant.now_ns, folder=home / "ingest"
        )
        self.client = Client(Starlette(routes=self.ingest.routes()))

    def pipeline(self, number: int, duration_s: float, conclusion: str = "success") -> None:
        """A run that ends now."""
        ended = self.plant.now_ns
        began = ended - int(duration_s * SECOND_NS)
        body = {
            "action": "completed",
            "workflow": {"name": "test"},
            "workflow_run": {
                "id": number,
                "conclusion": conclusion,
                "created_at": to_datetime(began).isoformat(),
                "run_started_at": to_datetime(began).isoformat(),
                "updated_at": to_datetime(ended).isoformat(),
            },
            "repository": REPOSITORY,
        }
        self.post("workflow_run", body)

    def post(self, event: str, body: dict[str, Any]) -> None:
        answer = self.client.post("/webhooks/github", json=body, headers={"x-github-event": event})
        assert answer.status_code == 200, answer.text

    def wait(self, minutes: int) -> None:
        for _ in range(minutes):
            self.plant.now_ns += MINUTE_NS
            self.ingest.tick()
        self.plant.runner.work_off()

    def derived(self) -> dict[str, list[float]]:
        """Values that stages wrote back into the journal, by metric."""
        found: dict[str, list[float]] = {}
        at = Position(0, 0)
        while batch := self.plant.journal.read(0, at):
            at = batch[-1][0]
            for _, frame in batch:
                if frame.source is Source.DERIVED and frame.kind is FrameKind.SAMPLES:
                    rows = decode_payload(frame)
                    for sid, value in zip(rows["sid"].to_pylist(), rows["value"].to_pylist(), strict=True):
                        metric = self.plant.catalog.get(sid, tenant="main").metric
                        found.setdefault(metric, []).append(value)
        return found


def test_runs_and_deployments_of_github_become_series_in_the_journal(plant: Plant, tmp_path: Path) -> None:
    hooks = Hooks(plant, tmp_path)
    hooks.wait(1)
    commit = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"
    pushed = {"timestamp": to_datetime(plant.now_ns).isoformat()}
    hooks.post("push", {"ref": "refs/heads/main", "after": commit, "head_commit": pushed, "repository": REPOSITORY})
    hooks.wait(5)
    hooks.pipeline(1, 90.0)
    hooks.wait(5)
    status = {"id": 7, "state": "success", "created_at": to_datetime(plant.now_ns).isoformat()}
    deployment = {"id": 3, "sha": commit, "environment": "production"}
    body = {"deployment_status": status, "deployment": deployment, "repository": REPOSITORY}
    hooks.post("deployment_status", body)
    hooks.post("deployment_status", body)
    hooks.wait(2)
    assert hooks.derived() == {
        "ci.pipeline.duration": [90.0],
        "ci.pipeline.queued": [0.0],
        "ci.pipeline.failed_ratio": [0.0],
        "deploy.lead_time": [600.0],
        "deploy.frequency": [pytest.approx(1 / 7)],
        "deploy.change_failure_ratio": [0.0],
    }
    job = plant.ledger.get(Entity, "job:shop/cart/test", tenant="main")
    assert job.attributes["of"] == "service:cart"


def test_a_pipeline_that_takes_ten_times_as_long_is_found_like_a_slow_service(plant: Plant, tmp_path: Path) -> None:
    hooks, noise = Hooks(plant, tmp_path), np.random.default_rng(4)
    for number in range(60):
        hooks.pipeline(number, 60.0 + 5.0 * float(noise.standard_normal()))
        hooks.wait(10)
    assert not plant.ledger.find(Finding, tenant="main")
    for number in range(60, 66):
        hooks.pipeline(number, 600.0)
        hooks.wait(10)
    found = {one.metric: one for one in plant.ledger.find(Finding, tenant="main")}
    assert found["ci.pipeline.duration"].entity == "job:shop/cart/test"
    assert "is 600 s, 10" in found["ci.pipeline.duration"].reason
