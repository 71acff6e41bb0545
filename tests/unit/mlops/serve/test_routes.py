"""The REST data plane answers as the Open Inference Protocol demands, checked against its official document."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]  # ships no types
import numpy as np
import pyarrow as pa
import pytest
import yaml
from starlette.applications import Starlette
from starlette.routing import Route

from tests.serving import serving
from tests.unit.mlops import toys
from twofold.mlops.release.releases import Releases
from twofold.mlops.serve import routes as rest
from twofold.mlops.serve.plane import Config, DataPlane
from twofold.records.access import Permission
from twofold.records.model import ReleaseStage
from twofold.store.blobs.files import FileBlobs
from twofold.store.ledger.sql import SqlLedger

DATA = Path(os.environ.get("TWOFOLD_DATA", Path(__file__).parents[5] / "shared" / "data"))
DOCUMENT = DATA / "open-inference" / "open_inference_rest.yaml"

Check = Callable[[str, object], None]


class Served:
    """A data plane behind a test client, and what it logged."""

    def __init__(self, plane: DataPlane, client: httpx.Client, batches: list[pa.RecordBatch]) -> None:
        self.plane = plane
        self.client = client
        self.batches = batches

    def infer(self, a: list[Any], b: list[Any], path: str = "/v2/models/toy/infer", **more: Any) -> Any:
        return self.client.post(path, json={"inputs": [tensor("a", a), tensor("b", b)], **more})

    def logged(self, rows: int) -> list[dict[str, Any]]:
        """Rows of the log, once there are so many."""
        deadline = time.monotonic() + 5
        while sum(one.num_rows for one in self.batches) < rows and time.monotonic() < deadline:
            time.sleep(0.02)
        return [row for one in list(self.batches) for row in one.to_pylist()]


def tensor(name: str, data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": "FP64", "shape": [len(data)], "data": data}


@pytest.fixture
def served(ledger: SqlLedger, blobs: FileBlobs, toy_bytes: bytes) -> Iterator[Served]:
    toys.put_live(ledger, toys.register(ledger, blobs, toy_bytes))
    batches: list[pa.RecordBatch] = []
    plane = DataPlane(ledger, blobs, batches.append, Config(poll_s=0.02, inline_rows=4, max_waiting=2))
    with serving(Starlette(routes=rest.routes(plane))) as client:
        plane.start()
        served = Served(plane, client, batches)
        deadline = time.monotonic() + 30
        while not plane.ready and time.monotonic() < deadline:
            time.sleep(0.02)
        yield served
        plane.close()


@pytest.fixture(scope="module")
def check() -> Check:
    """Validate a body against a schema of the official document."""
    if not DOCUMENT.exists():
        pytest.skip(f"{DOCUMENT} is absent; set TWOFOLD_DATA to the folder that holds open-inference/")
    document = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))

    def checked(name: str, body: object) -> None:
        jsonschema.validate(body, {**document, "$ref": f"#/components/schemas/{name}"})

    return checked


def test_every_path_of_the_official_document_is_served() -> None:
    if not DOCUMENT.exists():
        pytest.skip(f"{DOCUMENT} is absent; set TWOFOLD_DATA to the folder that holds open-inference/")
    document = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    official = {
        (method.upper(), path.replace("${MODEL_NAME}", "{model}").replace("${MODEL_VERSION}", "{version}"))
        for path, methods in document["paths"].items()
        for method in methods
        if method != "parameters"
    }
    ours = {(method, path) for method, path, _ in rest.PERMISSIONS}
    assert official <= ours


def test_every_route_declares_a_permission_and_only_health_is_public(served: Served) -> None:
    declared = {(method, path) for method, path, _ in rest.PERMISSIONS}
    found = set()
    for route in rest.routes(served.plane):
        assert isinstance(route, Route)
        found |= {(method, route.path) for method in (route.methods or ()) if method != "HEAD"}
    assert found == declared
    assert all(
        permission is (Permission.INFER if "/models/" in path else Permission.PUBLIC)
        for _, path, permission in rest.PERMISSIONS
    )


def test_documents_fit_the_official_schemas(served: Served, check: Check) -> None:
    check("metadata_server_response", served.client.get("/v2").json())
    check("metadata_server_response", served.client.get("/v2/").json())
    for path in ("/v2/models/toy", "/v2/models/toy/versions/1"):
        check("metadata_model_response", served.client.get(path).json())
    check("inference_response", served.infer([1.0], [2.0]).json())
    check("inference_response", served.infer([1.0], [2.0], "/v2/models/toy/versions/1/infer", id="42").json())
    refused = served.infer([1.0], [2.0, 3.0])
    assert refused.status_code == 400
    check("inference_error_response", refused.json())


def test_answers_are_the_models(served: Served) -> None:
    body = served.infer([1.0, -1.0], [2.0, -2.0], id="42").json()
    expected = toys.fit().predict_proba(np.array([[1.0, 2.0], [-1.0, -2.0]]))[:, 1]
    assert body["id"] == "42"
    assert body["outputs"] == [tensor("score", expected.tolist())]
    metadata = served.client.get("/v2/models/toy").json()
    assert [one["name"] for one in metadata["inputs"]] == ["a", "b"]
    assert metadata["versions"] == ["1"]


def test_a_large_request_is_answered_from_a_thread_alike(served: Served) -> None:
    body = served.infer([1.0] * 100, [2.0] * 100).json()
    assert body["outputs"][0]["shape"] == [100]


def test_health_tells_whether_all_released_models_are_loaded(
    served: Served, ledger: SqlLedger, blobs: FileBlobs
) -> None:
    assert served.client.get("/v2/health/live").status_code == 200
    assert served.client.get("/v2/health/ready").json() == {"ready": True}
    assert served.client.get("/v2/models/toy/ready").status_code == 200
    assert served.client.get("/v2/models/toy/versions/7/ready").status_code == 404
    toys.put_live(ledger, toys.register(ledger, blobs, b"no model"))
    deadline = time.monotonic() + 5
    while served.plane.ready and time.monotonic() < deadline:
        time.sleep(0.02)
    assert served.client.get("/v2/health/ready").status_code == 503
    assert served.infer([1.0], [2.0]).json()["model_version"] == "1"


def test_errors_have_a_status_and_a_text(served: Served) -> None:
    assert served.infer([1.0], [2.0], "/v2/models/nobody/infer").status_code == 404
    assert served.infer([1.0], [2.0], "/v2/models/toy/versions/9/infer").status_code == 404
    assert served.client.post("/v2/models/toy/infer", content=b"{").json()["error"].startswith("the body is not JSON")
    large = served.client.post("/v2/models/toy/infer", content=b" " * (rest.MAX_BODY_BYTES + 1))
    assert large.status_code == 413
    assert served.infer([1.0], [2.0], outputs=[{"name": "fame"}]).status_code == 400


def test_every_answer_is_logged_with_its_inputs(served: Served) -> None:
    served.infer([1.0, 3.0], [2.0, 4.0], id="42")
    served.client.post(
        "/v2/models/toy/infer",
        json={"inputs": [tensor("a", [5.0]), tensor("b", [6.0])]},
        headers={"x-request-id": "from-header"},
    )
    served.infer([1.0], [2.0, 3.0])
    rows = served.logged(3)
    assert [row["request_id"] for row in rows] == ["42", "42", "from-header"]
    assert [row["numbers"] for row in rows] == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert {(row["model"], row["version"], row["stage"]) for row in rows} == {("toy", "1", "live")}
    assert all(row["latency_ns"] > 0 and 0 <= row["outputs"][0] <= 1 for row in rows)
    assert all(abs(row["time_ns"] / 1e9 - time.time()) < 60 for row in rows)


def test_a_shadow_sees_every_request_and_answers_none(served: Served, ledger: SqlLedger, blobs: FileBlobs) -> None:
    toys.register(ledger, blobs, toys.model_bytes(1))
    Releases(ledger).release("toy", "2", ReleaseStage.SHADOW, approver="ann", reason="try")
    deadline = time.monotonic() + 5
    while not served.plane.models.route("toy").shadows and time.monotonic() < deadline:
        time.sleep(0.02)
    answers = [served.infer([1.0], [2.0], id=f"r{number}").json()["model_version"] for number in range(5)]
    assert set(answers) == {"1"}
    shadowed = [row["request_id"] for row in served.logged(10) if row["stage"] == "shadow"]
    assert shadowed == [f"r{number}" for number in range(5)]


def test_a_model_that_raises_is_500_and_logged_without_outputs(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = served.plane.models.choose("toy", "", "x").predictor

    def broken(_columns: object) -> object:
        raise FloatingPointError("overflow in the third layer")

    monkeypatch.setattr(predictor, "model", type("Broken", (), {"predict_proba": staticmethod(broken)})())
    answer = served.infer([1.0], [2.0])
    assert answer.status_code == 500
    assert "third layer" in answer.json()["error"]
    assert served.logged(1)[0]["outputs"] == []


def test_too_many_large_requests_are_answered_429_with_a_time_to_come_back(served: Served) -> None:
    served.plane._waiting = 2
    answer = served.infer([1.0] * 10, [2.0] * 10)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert served.infer([1.0], [2.0]).status_code == 200
    served.plane._waiting = 0
    assert served.infer([1.0] * 10, [2.0] * 10).status_code == 200
