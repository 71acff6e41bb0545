"""The whole way of the demo's model over real parts: train twice, gate, release, serve, drift, roll back."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
from starlette.applications import Starlette

from demo.model.world import INPUTS, click_chance, item
from tests.serving import serving
from twofold.flow.workflow import Json
from twofold.mlops.monitor.drift import DriftStage
from twofold.mlops.monitor.profiles import Profiles
from twofold.mlops.pipeline import Pipeline, register_project
from twofold.mlops.release.releases import Releases, change_of
from twofold.mlops.serve.plane import Config, DataPlane
from twofold.mlops.serve.routes import routes
from twofold.records.columns import DerivedSamples, Predictions
from twofold.records.event import ChangeKind
from twofold.records.model import ModelVersion, ReleaseStage, Run
from twofold.records.time import SECOND_NS
from twofold.store.blobs.files import FileBlobs
from twofold.store.catalog.files import FileCatalog
from twofold.store.ledger.sql import open_ledger

PROJECT = Path(__file__).parents[2] / "demo" / "model"


class Once:
    """A workflow context that runs each step once."""

    def __init__(self, workflow_id: str) -> None:
        self.workflow_id = workflow_id

    def step(self, name: str, call: Callable[[], Json], *, idempotent: bool, timeout_s: float = 60.0) -> Json:
        del name, idempotent, timeout_s
        return call()

    def receive(self, topic: str, timeout_s: float) -> Json | None:
        del topic, timeout_s
        return None

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def ask(client: httpx.Client, items: list[dict[str, float]], request_id: str) -> Any:
    inputs = [
        {"name": name, "datatype": "FP64", "shape": [len(items)], "data": [one[name] for one in items]}
        for name in INPUTS
    ]
    answer = client.post("/v2/models/recommender/infer", json={"id": request_id, "inputs": inputs})
    assert answer.status_code == 200, answer.text
    return answer.json()


def wait(fact: Callable[[], object], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not fact():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def drift_of(batches: list[pa.RecordBatch], stage: DriftStage, catalog: FileCatalog) -> dict[str, float]:
    """Newest drift of each feature and of the output, from batches of the prediction log alone."""
    found: dict[str, float] = {}
    stage.process([Predictions(data=batch) for batch in batches])
    newest_ns = max(batch.column("time_ns").to_numpy().max() for batch in batches)
    for made in stage.advance(int(newest_ns) + 20 * SECOND_NS):
        if isinstance(made, DerivedSamples):
            for sid, _, value in zip(*(column.tolist() for column in made.columns()), strict=True):
                series = catalog.get(sid, tenant="main")
                if series.metric.endswith("psi"):
                    found[series.labels.get("feature") or series.labels["output"]] = value
    return found


def test_a_model_is_trained_twice_alike_released_served_watched_and_rolled_back(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    blobs, catalog = FileBlobs(tmp_path / "blobs"), FileCatalog(tmp_path / "catalog")
    register_project(ledger, PROJECT)
    pipeline, releases = Pipeline(ledger, blobs), Releases(ledger)

    answers = [pipeline.run(Once(f"run-{number}"), {"project": "recommender"}) for number in (1, 2)]
    assert [(answer["error"], answer["gates_passed"]) for answer in answers] == [("", True)] * 2
    first, second = (ledger.get(Run, f"run-{number}", tenant="main") for number in (1, 2))
    assert first.artifact_sha256 == second.artifact_sha256
    assert first.metrics["roc_auc"] > 0.72
    assert ledger.get(ModelVersion, "recommender@1", tenant="main").dataset == answers[0]["dataset"]

    batches: list[pa.RecordBatch] = []
    plane = DataPlane(ledger, blobs, batches.append, Config(poll_s=0.05))
    with serving(Starlette(routes=routes(plane))) as client:
        plane.start()
        releases.release("recommender", "1", ReleaseStage.LIVE, approver="ann", reason="first version")
        wait(lambda: client.get("/v2/models/recommender/ready").status_code == 200)

        random = Random(5)  # noqa: S311 - shoppers, not secrets
        shown = [item(random) for _ in range(600)]
        scores = [
            ask(client, shown[index : index + 6], f"r{index}")["outputs"][0]["data"] for index in range(0, 600, 6)
        ]
        chances = [click_chance(one) for one in shown]
        assert np.corrcoef(np.concatenate(scores), chances)[0, 1] > 0.85

        wait(lambda: sum(batch.num_rows for batch in batches) == 600)
        stage = DriftStage(catalog, Profiles(ledger, blobs))
        healthy = drift_of(batches, stage, catalog)
        assert set(healthy) == {*INPUTS, "score"}
        assert max(abs(value) for value in healthy.values()) < 0.1

        del batches[:]
        in_cents = [{**item(random), "price": item(random)["price"] * 100} for _ in range(600)]
        for index in range(0, 600, 6):
            ask(client, in_cents[index : index + 6], f"s{index}")
        wait(lambda: sum(batch.num_rows for batch in batches) == 600)
        drifted = drift_of(batches, DriftStage(catalog, Profiles(ledger, blobs)), catalog)
        assert drifted["price"] > 1.0
        assert drifted["score"] > 0.25
        assert max(abs(value) for name, value in drifted.items() if name not in {"price", "score"}) < 0.1

        releases.release("recommender", "2", ReleaseStage.CANARY, approver="ann", reason="retrained", weight=0.3)
        wait(lambda: len(client.get("/v2/models/recommender").json()["versions"]) == 2)
        versions = [ask(client, shown[:1], f"c{number}")["model_version"] for number in range(200)]
        assert 30 < versions.count("2") < 90
        releases.release("recommender", "2", ReleaseStage.LIVE, approver="ann", reason="as good")
        wait(lambda: ask(client, shown[:1], "x")["model_version"] == "2")
        back = releases.rollback("recommender", approver="bob", reason="to be sure", version="2")
        started = datetime.now(UTC)
        wait(lambda: ask(client, shown[:1], "x")["model_version"] == "1")
        assert (datetime.now(UTC) - started).total_seconds() < 5
        assert change_of(back).change is ChangeKind.ROLLBACK
        plane.close()
    ledger.close()
