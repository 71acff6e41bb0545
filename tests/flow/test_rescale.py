"""A real server with two partitions groups what both find, and goes on with three as if nothing had happened."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import pytest

from tests.fault.up import Up, checked, wait_for
from twofold.flow.homes import partition_of
from twofold.records.time import SECOND_NS

CALLER, CALLED = "web", "payment"
SERVICES: Final = (CALLER, CALLED, "cart", "search", "mail", "stock", "users", "ads")
PERIOD_S: Final = 2
HISTORY: Final = 900
USUAL_S: Final = 0.1
JSON: Final = {"content-type": "application/json"}


class Telemetry(threading.Thread):
    """The services, measured every two seconds, whether anybody listens or not.

    Attributes:
        slow: Services whose requests take ten times as long.
    """

    def __init__(self, up: Up) -> None:
        super().__init__(daemon=True)
        self.slow: frozenset[str] = frozenset()
        self._up = up
        self._over = threading.Event()
        self._chance = random.Random(4)  # noqa: S311 - repeatable, nothing secret

    def history(self) -> None:
        """Half an hour, up to now; and who calls whom."""
        now_ns = time.time_ns()
        times = [now_ns - (HISTORY - step) * PERIOD_S * SECOND_NS for step in range(HISTORY)]
        for first in range(0, HISTORY, 100):
            self._post("/v1/metrics", self._metrics(times[first : first + 100]))
        self._post("/v1/traces", _call(now_ns))

    def run(self) -> None:
        """Until told to stop."""
        while not self._over.wait(PERIOD_S):
            try:
                self._post("/v1/metrics", self._metrics([time.time_ns()]))
                self._post("/v1/traces", _call(time.time_ns()))
            except httpx.HTTPError:
                continue  # between two lives of the server

    def end(self) -> None:
        """Stop."""
        self._over.set()
        self.join(10)

    def _metrics(self, times: list[int]) -> Any:
        return {"resourceMetrics": [self._measured(name, times) for name in SERVICES]}

    def _measured(self, name: str, times: list[int]) -> Any:
        usual = USUAL_S * (10 if name in self.slow else 1)
        points = [{"timeUnixNano": str(at), "asDouble": usual * (1 + 0.05 * self._chance.gauss(0, 1))} for at in times]
        metric = {"name": "app.request.duration", "unit": "s", "gauge": {"dataPoints": points}}
        return {"resource": _resource(name), "scopeMetrics": [{"metrics": [metric]}]}

    def _post(self, path: str, body: Any) -> None:
        checked(httpx.post(self._up.url + path, content=orjson.dumps(body), headers=JSON, timeout=20, trust_env=False))


def _resource(name: str) -> Mapping[str, Any]:
    return {"attributes": [{"key": "service.name", "value": {"stringValue": name}}]}


def _call(now_ns: int) -> Any:
    """One request that the caller answers by asking the called: no span names the peer, only parents do."""

    def span(ident: int, parent: int, kind: int) -> Any:
        return {
            "traceId": f"{now_ns:032x}",
            "spanId": f"{now_ns + ident:016x}",
            "parentSpanId": f"{now_ns + parent:016x}" if parent else "",
            "name": "POST /",
            "kind": kind,
            "startTimeUnixNano": str(now_ns - 50_000_000),
            "endTimeUnixNano": str(now_ns),
        }

    spans = {CALLER: [span(1, 0, 2), span(2, 1, 3)], CALLED: [span(3, 2, 2)]}
    return {
        "resourceSpans": [
            {"resource": _resource(name), "scopeSpans": [{"spans": found}]} for name, found in spans.items()
        ]
    }


def told(up: Up, what: str) -> list[dict[str, Any]]:
    """All records of a kind."""
    with up.client() as client:
        found: list[dict[str, Any]] = checked(client.get(f"/api/v1/{what}", params={"limit": 200}))["items"]
        return found


def open_incidents(up: Up) -> list[dict[str, Any]]:
    return [each for each in told(up, "incidents") if each["state"] != "resolved"]


def cause(up: Up) -> str:
    """The first suspect of the one open incident that both services are in; empty while there is none."""
    for each in open_incidents(up):
        if {f"service:{CALLER}", f"service:{CALLED}"} <= set(each["entities"]):
            with up.client() as client:
                found = checked(client.get(f"/api/v1/incidents/{each['id']}"))["diagnosis"]
            return found["suspects"][0]["entity"] if found else ""
    return ""


@pytest.mark.timeout(600)
def test_two_partitions_tell_one_incident_and_three_go_on_with_it(tmp_path: Path) -> None:
    assert partition_of(f"service:{CALLER}", 2) != partition_of(f"service:{CALLED}", 2)
    assert partition_of(f"service:{CALLED}", 3) == 2, "it moves"
    settings = {"correlate": {"hold_s": 3.0}}
    up = Up(tmp_path, {**settings, "partitions": 2})
    up.start()
    telemetry = Telemetry(up)
    try:
        telemetry.history()
        telemetry.start()
        time.sleep(10)
        assert not open_incidents(up)
        telemetry.slow = frozenset({CALLED})
        time.sleep(2 * PERIOD_S)
        telemetry.slow = frozenset({CALLED, CALLER})
        wait_for(lambda: cause(up) == f"service:{CALLED}", 90, lambda: str(told(up, "incidents")))
        (incident,) = open_incidents(up)
        alerts = {each["id"] for each in told(up, "alerts")}

        assert up.stop() == 0
        up.configure({**settings, "partitions": 3})
        up.start()
        time.sleep(30)
        (same,) = open_incidents(up)
        assert same["id"] == incident["id"]
        assert {each["id"] for each in told(up, "alerts")} == alerts, "nothing is told twice"
        telemetry.slow = frozenset()
        wait_for(lambda: not open_incidents(up), 120, lambda: str(told(up, "incidents")))
        telemetry.slow = frozenset({CALLED})
        wait_for(lambda: len(open_incidents(up)) == 1, 90, lambda: str(told(up, "findings")))
        found = told(up, "findings")
        assert {each["entity"] for each in found} == {f"service:{CALLER}", f"service:{CALLED}"}
        assert "absent" not in {each["direction"] for each in found}
    finally:
        telemetry.end()
        up.stop()
