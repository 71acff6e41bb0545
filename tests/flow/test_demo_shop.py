"""The demo's shop, started for real against a stand-in for Twofold: telemetry, faults, remedies, and its end."""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from demo.plan import Plan, drive
from demo.shop.names import SERVICES
from tests.flow.shop_sink import Sink, Span

ROOT = Path(__file__).parents[2]
SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
RATE = 15.0


@dataclass
class Running:
    """A control with its shop."""

    process: subprocess.Popen[str]
    client: httpx.Client
    data: Path

    def children(self) -> list[psutil.Process]:
        """Processes of the shop."""
        children: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return children

    def state(self) -> Any:
        """GET /state."""
        return self.client.get("/state").raise_for_status().json()

    def service(self, name: str) -> Any:
        """State of one service."""
        return next(service for service in self.state()["services"] if service["name"] == name)

    def post(self, path: str, body: Any = None) -> Any:
        """POST, and its answer."""
        return self.client.post(path, json=body).raise_for_status().json()

    def truth(self, fault: str) -> Any:
        """The newest entry of a fault."""
        items = self.client.get("/truth").raise_for_status().json()["items"]
        return [item for item in items if item["fault"] == fault][-1]

    def close(self) -> None:
        """End it."""
        self.client.close()
        self.process.terminate()
        self.process.wait(10)
        if self.process.stdout:
            self.process.stdout.close()


def launch(sink: Sink, data: Path) -> Running:
    command = [sys.executable, "-m", "demo.control", "--twofold", sink.url, "--data", str(data), "--rate", str(RATE)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout
    told = json.loads(process.stdout.readline())
    client = httpx.Client(
        base_url=told["url"], headers={"authorization": f"Bearer {told['token']}"}, timeout=30, trust_env=False
    )
    return Running(process, client, data)


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


@pytest.fixture(scope="module")
def shop(sink: Sink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = launch(sink, tmp_path_factory.mktemp("shop"))
    yield running
    running.close()


def eventually(fact: Callable[[], Any], within_s: float = 20) -> Any:
    """Wait for `fact` to hold and return it."""
    until = time.monotonic() + within_s
    while not (found := fact()):
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.2)
    return found


def since(sink: Sink, start_s: float, service: str, kind: int = SERVER) -> list[Span]:
    return [
        span for span in list(sink.spans) if (span.service, span.kind) == (service, kind) and span.start_s > start_s
    ]


def latest(sink: Sink, service: str, metric: str, start_s: float = 0) -> float | None:
    values = [p.value for p in list(sink.points) if (p.service, p.metric) == (service, metric) and p.time_s > start_s]
    return values[-1] if values else None


def healthy(sink: Sink, start_s: float, service: str, calls: int = 5) -> bool:
    """The last `calls` calls since then neither failed nor were slow."""
    spans = since(sink, start_s, service)[-calls:]
    return len(spans) == calls and not any(span.failed or span.seconds > 0.35 for span in spans)


@pytest.mark.usefixtures("shop")
def test_a_trace_goes_through_every_service_with_right_parents(sink: Sink) -> None:
    def whole_order() -> set[str]:
        spans = list(sink.spans)
        shipped = {span.trace for span in spans if span.service == "store" and span.name == "POST /shipments"}
        charged = {span.trace for span in spans if span.service == "payment"}
        return {span.trace for span in spans if span.service == "gateway"} & shipped & charged

    trace = eventually(whole_order).pop()
    eventually(lambda: all(any(s.id == span.parent for s in sink.spans) for span in order(sink, trace) if span.parent))
    spans = order(sink, trace)
    assert {span.service for span in spans} == {"gateway", "checkout", "cart", "payment", "worker", "store"}
    by_id = {span.id: span for span in spans}
    assert [span.name for span in spans if not span.parent] == ["POST /checkout"]
    for span in spans:
        parent = by_id.get(span.parent)
        if span.kind == SERVER and parent:
            assert parent.kind == CLIENT
            assert parent.attributes["peer.service"] == span.service
        if span.kind == CONSUMER:
            assert parent
            assert (parent.service, parent.kind) == ("checkout", PRODUCER)
            assert parent.attributes["messaging.destination.name"] == "orders"


def order(sink: Sink, trace: str) -> list[Span]:
    return [span for span in list(sink.spans) if span.trace == trace]


@pytest.mark.usefixtures("shop")
def test_recommendation_asks_the_model_in_the_callers_trace(sink: Sink) -> None:
    def asked() -> list[Span]:
        return [s for s in list(sink.spans) if s.attributes.get("peer.entity") == "model:recommender" and not s.failed]

    span = eventually(asked)[0]
    assert (span.service, span.kind, span.attributes["twofold.model"]) == ("recommendation", CLIENT, "recommender")
    eventually(lambda: {"gateway", "catalog", "recommendation"} == {s.service for s in order(sink, span.trace)})
    question = sink.questions[0]
    assert set(question) == {"price", "discount", "rating", "popularity", "basket_value", "hour"}
    assert {len(column) for column in question.values()} == {18}


@pytest.mark.usefixtures("shop")
def test_statements_of_store_name_their_database(sink: Sink) -> None:
    statements = eventually(lambda: [s for s in list(sink.spans) if "db.system" in s.attributes])
    assert {s.attributes["peer.entity"] for s in statements} == {"database:inventory"}
    assert {s.service for s in statements} == {"store"}


def test_every_pushed_service_measures_itself_and_payment_waits_for_a_scrape(sink: Sink, shop: Running) -> None:
    wanted = {"process.cpu.time", "process.cpu.utilization", "process.memory.usage", "disk.used_ratio"}
    pushing = set(SERVICES) - {"payment", "load"}
    eventually(lambda: wanted <= {p.metric for p in sink.points} and {p.service for p in sink.points} == pushing)
    eventually(lambda: latest(sink, "worker", "queue.depth") is not None)
    eventually(lambda: latest(sink, "recommendation", "recommendation.click_ratio") is not None, 30)
    [scrape] = shop.state()["scrape"]
    text = httpx.get(scrape["url"], trust_env=False).text
    assert re.search(r'^payment_charges_total{outcome="approved"} [1-9]', text, re.MULTILINE)
    assert re.search(r"^process_memory_usage_bytes [1-9]", text, re.MULTILINE)
    assert "payment" in {span.service for span in sink.spans}


@pytest.mark.usefixtures("shop")
def test_logs_carry_the_span_they_were_written_in(sink: Sink) -> None:
    line = eventually(lambda: [line for line in list(sink.lines) if "placed" in line.body])[0]
    eventually(
        lambda: [s for s in list(sink.spans) if (s.trace, s.id, s.service) == (line.trace, line.span, "checkout")]
    )


def test_without_the_token_nothing_is_answered_or_done(shop: Running) -> None:
    url = str(shop.client.base_url)
    for method, path in (
        ("GET", "/state"),
        ("GET", "/truth"),
        ("POST", "/faults/latency"),
        ("DELETE", "/faults/latency"),
        ("POST", "/deploys/checkout/rollback"),
        ("POST", "/processes/cart/restart"),
        ("POST", "/data/prices/rollback"),
    ):
        for headers in ({}, {"authorization": "Bearer wrong"}):
            assert httpx.request(method, url + path, headers=headers, trust_env=False).status_code == 401
    assert not any(fault["active"] for fault in shop.state()["faults"])
    assert (shop.data / "control.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/faults/flood", None, 404),
        ("/processes/bank/restart", None, 404),
        ("/data/names/rollback", None, 404),
        ("/faults/latency", {"seconds": -1}, 400),
        ("/faults/latency", {"seconds": "soon"}, 400),
        ("/faults/latency", {"seconds": float("1e9")}, 400),
        ("/faults/latency", [], 400),
        ("/state", None, 405),
    ],
)
def test_a_wrong_call_is_refused_with_its_reason(shop: Running, path: str, body: Any, status: int) -> None:
    answer = shop.client.post(path, json=body)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_latency_slows_catalog_and_a_restart_cures_it(sink: Sink, shop: Running) -> None:
    shop.post("/faults/latency", {"seconds": 60})
    begun = time.time() + 0.5
    eventually(lambda: len(since(sink, begun, "catalog")) > 10)
    assert statistics.median(span.seconds for span in since(sink, begun, "catalog")) > 0.38
    eventually(lambda: healthy(sink, begun, "payment"))
    assert shop.client.post("/faults/latency").status_code == 409
    shop.post("/processes/catalog/restart")
    cured = time.time()
    eventually(lambda: healthy(sink, cured, "catalog"))
    assert shop.truth("latency")["ended_by"] == "remedy"
    assert shop.truth("latency")["accepted"] == ["service:catalog"]


def test_a_fault_ends_by_itself_after_its_time(sink: Sink, shop: Running) -> None:
    shop.post("/faults/latency", {"seconds": 1})
    eventually(lambda: shop.truth("latency")["ended_by"] == "expired")
    cured = time.time()
    eventually(lambda: healthy(sink, cured, "catalog"))


def test_a_bad_deploy_is_announced_then_fails_and_is_rolled_back_once(sink: Sink, shop: Running) -> None:
    shop.post("/faults/bad_deploy", {"seconds": 60})
    failed = eventually(lambda: [s for s in since(sink, 0, "checkout") if s.failed and s.version == "1.4.0"])
    event = next(change for change in sink.changes if change["version"] == "1.4.0")
    assert (event["kind"], event["entity"]) == ("deploy", "service:checkout")
    assert event["time"] < _rfc(failed[0].start_s)
    assert shop.post("/deploys/checkout/rollback") == {"service": "checkout", "version": "1.3.2", "changed": True}
    assert shop.post("/deploys/checkout/rollback")["changed"] is False
    assert [change["version"] for change in sink.changes if change["kind"] == "rollback"] == ["1.3.2"]
    cured = time.time()
    eventually(lambda: healthy(sink, cured, "checkout"))
    assert shop.truth("bad_deploy")["ended_by"] == "remedy"


def test_a_memory_leak_is_real_and_a_restart_frees_it(sink: Sink, shop: Running) -> None:
    before = eventually(lambda: latest(sink, "cart", "process.memory.usage"))
    pid = shop.service("cart")["pid"]
    shop.post("/faults/memory_leak", {"seconds": 60})
    eventually(lambda: (latest(sink, "cart", "process.memory.usage") or 0) > before + 20e6)
    shop.post("/processes/cart/restart")
    assert shop.service("cart")["pid"] != pid
    cured = time.time()
    eventually(lambda: 0 < (latest(sink, "cart", "process.memory.usage", cured) or 0) < before + 10e6)


def test_a_cpu_hog_burns_a_bounded_share_and_slows_recommendation(sink: Sink, shop: Running) -> None:
    shop.post("/faults/cpu_hog", {"seconds": 60})
    begun = time.time() + 1
    share = eventually(lambda: latest(sink, "recommendation", "process.cpu.utilization", begun + 5))
    assert 0.25 < share < 0.8
    slow = [s.seconds for s in since(sink, begun, "recommendation") if s.name == "POST /recommendations"]
    assert statistics.quantiles(slow, n=20)[-1] > 0.04
    shop.post("/processes/recommendation/restart")
    cured = time.time()
    eventually(lambda: healthy(sink, cured, "recommendation"))


def test_a_dead_dependency_stays_down_until_it_is_started(sink: Sink, shop: Running) -> None:
    shop.post("/faults/dependency_down", {"seconds": 60})
    begun = time.time()
    assert shop.service("payment")["state"] == "stopped"
    eventually(lambda: [s for s in since(sink, begun, "checkout") if s.failed])
    assert eventually(lambda: [line for line in list(sink.lines) if "payment: no answer" in line.body])
    shop.post("/processes/payment/restart")
    cured = time.time()
    eventually(lambda: healthy(sink, cured, "checkout"))
    assert shop.truth("dependency_down")["ended_by"] == "remedy"


def test_a_full_disk_fails_writes_and_a_restart_clears_it(sink: Sink, shop: Running) -> None:
    shop.post("/faults/disk_full", {"seconds": 120})
    begun = time.time()
    eventually(lambda: (latest(sink, "store", "disk.used_ratio", begun) or 0) >= 1, 40)
    eventually(lambda: [line for line in list(sink.lines) if line.service == "store" and "No space left" in line.body])
    reads = [s for s in since(sink, begun, "store") if s.name == "GET /stock"]
    assert not any(span.failed for span in reads)
    shop.post("/processes/store/restart")
    cured = time.time()
    eventually(lambda: healthy(sink, cured, "store"))
    assert (eventually(lambda: latest(sink, "store", "disk.used_ratio", cured))) < 0.5


def test_drift_changes_the_models_input_without_any_error(sink: Sink, shop: Running) -> None:
    price = statistics.median(sink.questions[-1]["price"])
    shop.post("/faults/drift", {"seconds": 60})
    begun, asked = time.time(), len(sink.questions)
    eventually(lambda: len(sink.questions) > asked + 10)
    assert statistics.median(sink.questions[-1]["price"]) > 20 * price
    eventually(lambda: healthy(sink, begun, "recommendation", calls=10))
    assert shop.state()["feeds"] == {"prices": 2}
    assert shop.truth("drift")["accepted"][:2] == ["feature:recommender/price", "model:recommender"]
    assert shop.post("/data/prices/rollback") == {"feed": "prices", "version": 1, "changed": True}
    assert shop.post("/data/prices/rollback")["changed"] is False
    assert sink.changes[-1]["entity"] == "dataset:prices"
    asked = len(sink.questions)
    eventually(lambda: len(sink.questions) > asked + 3)
    assert statistics.median(sink.questions[-1]["price"]) < 5 * price


def test_drift_outlives_a_restart_of_catalog(sink: Sink, shop: Running) -> None:
    shop.post("/faults/drift", {"seconds": 60})
    shop.post("/processes/catalog/restart")
    asked = len(sink.questions)
    eventually(lambda: len(sink.questions) > asked + 3)
    assert statistics.median(sink.questions[-1]["price"]) > 300
    shop.client.delete("/faults/drift").raise_for_status()
    assert shop.truth("drift")["ended_by"] == "switched_off"


def test_the_decoy_announces_a_deploy_and_nothing_else(sink: Sink, shop: Running) -> None:
    pids = {service["name"]: service["pid"] for service in shop.state()["services"]}
    shop.post("/faults/decoy_deploy", {"seconds": 1})
    event = sink.changes[-1]
    assert (event["kind"], event["entity"]) == ("deploy", "service:gateway")
    assert {service["name"]: service["pid"] for service in shop.state()["services"]} == pids
    eventually(lambda: shop.truth("decoy_deploy")["ended"])
    assert shop.truth("decoy_deploy")["accepted"] == []


@pytest.mark.usefixtures("shop")
def test_without_the_model_the_shop_goes_on_with_popular_articles(sink: Sink) -> None:
    sink.model_up = False
    begun = time.time()
    eventually(lambda: [line for line in list(sink.lines) if "popular articles instead" in line.body])
    eventually(lambda: healthy(sink, begun, "recommendation", calls=10))
    asked = [s for s in list(sink.spans) if s.attributes.get("http.response.status_code") == 404]
    assert asked
    assert not any(span.failed for span in asked)
    sink.model_up = True
    questions = len(sink.questions)
    eventually(lambda: len(sink.questions) > questions)


def test_a_service_that_ends_by_itself_is_started_again(sink: Sink, shop: Running) -> None:
    before = shop.service("worker")
    os.kill(before["pid"], signal.SIGKILL)
    eventually(lambda: shop.service("worker")["pid"] not in (0, before["pid"]))
    eventually(lambda: shop.service("worker")["state"] == "running")
    again = time.time()
    eventually(lambda: since(sink, again, "worker", CONSUMER))


def test_a_plan_breaks_mends_and_tells_the_truth(shop: Running) -> None:
    plan = Plan(faults=("latency", "drift"), warm_up_s=0.1, fault_s=0.5, recovery_s=0.1)
    result = drive(plan, shop.client)
    assert [item["fault"] for item in result["items"]] == ["latency", "decoy_deploy", "drift"]
    assert [item["ended_by"] for item in result["items"]] == ["remedy", "switched_off", "remedy"]
    assert result["started"] <= result["items"][0]["started"] < result["items"][0]["ended"] <= result["ended"]
    assert not any(fault["active"] for fault in shop.state()["faults"])


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's smaps_rollup")
def test_the_whole_shop_is_light(shop: Running) -> None:
    children = shop.children()
    assert len(children) == len(SERVICES)
    sizes = [_pss_mb(child.pid) for child in children]
    assert max(sizes) < 70
    assert sum(sizes) < 550


def test_sigterm_ends_everything_within_three_seconds(sink: Sink, tmp_path: Path) -> None:
    shop = launch(sink, tmp_path)
    children = shop.children()
    begun = time.monotonic()
    shop.close()
    assert time.monotonic() - begun < 3
    assert shop.process.returncode == 0
    assert not any(child.is_running() for child in children)


def test_nothing_outlives_a_killed_control(sink: Sink, tmp_path: Path) -> None:
    shop = launch(sink, tmp_path)
    children = shop.children()
    assert len(children) == len(SERVICES)
    shop.process.kill()
    eventually(lambda: not any(_alive(child) for child in children), 3)
    shop.close()


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


def _rfc(time_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_s)) + f".{int(time_s % 1 * 1000):03}+00:00"
