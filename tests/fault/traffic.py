"""Telemetry for a real `twofold up`, sent over HTTP by names, and whether each name stands once where it belongs."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from tests.conservation import Account
from tests.fault.up import Up, checked, wait_for
from twofold.store.catalog.files import FileCatalog
from twofold.store.history.delta import DeltaHistory, HistoryConfig
from twofold.store.history.sql import SqlLimits

BUSY: Final = {
    "recorder": {"flush_s": 0.4},
    "runner": {"checkpoint_s": 0.6},
}
"""Flushes and checkpoints so often that kills meet them."""
KINDS: Final = ("metrics", "logs", "traces")
ITEMS: Final = 3
NOT_FOUND: Final = 404
COLD_S: Final = 180.0  # after a fresh installation kernels are compiled, and a killed process keeps few of them


@dataclass
class Sender(threading.Thread):
    """One connection that sends one kind of telemetry as fast as it is answered, each item with a name of its own.

    Args:
        pause_s: Between an answer and the next request.
    """

    port: int
    kind: str
    name_: str
    pause_s: float = 0.0
    acknowledged: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    refused: Counter[int] = field(default_factory=Counter)
    fault: str = ""

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        """Send until told to stop or the server is gone."""
        number = 0
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            while not self._over.wait(self.pause_s):
                names = {f"{self.name_}x{number}x{item}" for item in range(ITEMS)}
                number += 1
                self.unanswered |= names
                body = orjson.dumps(_request(self.kind, sorted(names)))
                connection.request("POST", f"/v1/{self.kind}", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
                if answer.status == 200:
                    partial = orjson.loads(content).get("partialSuccess") or {}
                    assert not any(int(value) for key, value in partial.items() if key.startswith("rejected")), partial
                    self.acknowledged |= names
                    self.unanswered -= names
                elif answer.status in (429, 503):
                    self.refused[answer.status] += 1
                    self.unanswered -= names
                    time.sleep(0.05)
                else:
                    self.fault = f"{answer.status} {content[:200]!r}"
                    return
        except (OSError, http.client.HTTPException):
            pass  # killed: what was under way may or may not have arrived
        finally:
            connection.close()

    def end(self) -> None:
        """Finish the request at hand."""
        self._over.set()
        self.join(30)
        assert not self.is_alive()
        assert not self.fault, self.fault


def _request(kind: str, names: list[str]) -> Any:
    now = time.time_ns()
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "sender"}}]}
    if kind == "logs":
        lines = [
            {
                "timeUnixNano": str(now),
                "severityNumber": 17 if name.endswith("x0") else 9,
                "body": {"stringValue": name},
            }
            for name in names
        ]
        return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": lines}]}]}
    if kind == "traces":
        spans = [
            {
                "traceId": f"{int.from_bytes(name.encode(), 'big') % 2**128:032x}",
                "spanId": f"{index + 1:016x}",
                "name": name[:2],
                "kind": 2,
                "startTimeUnixNano": str(now - 1_000_000),
                "endTimeUnixNano": str(now),
                "attributes": [{"key": "who", "value": {"stringValue": name}}],
            }
            for index, name in enumerate(names)
        ]
        return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
    metrics = [
        {
            "name": f"sent.{name.split('x', maxsplit=1)[0]}",
            "gauge": {
                "dataPoints": [
                    {
                        "timeUnixNano": str(now),
                        "asDouble": float(index),
                        "attributes": [{"key": "who", "value": {"stringValue": name}}],
                    }
                ]
            },
        }
        for index, name in enumerate(names)
    ]
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}


def senders(up: Up, name: str, pause_s: float = 0.0) -> list[Sender]:
    """Two of each kind, at work, at both ports."""
    found = [
        Sender(up.otlp_port if number % 2 else up.port, kind, f"{name}{kind[0]}{number}", pause_s)
        for kind in KINDS
        for number in range(2)
    ]
    for sender in found:
        sender.start()
    return found


@dataclass
class Told:
    """What senders were told, by kind: taken, or not answered because the process was gone."""

    taken: dict[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in KINDS})
    perhaps: dict[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in KINDS})

    def end(self, sending: list[Sender]) -> None:
        """End senders, and keep what they know."""
        for sender in sending:
            sender.end()
            self.taken[sender.kind] |= sender.acknowledged
            self.perhaps[sender.kind] |= sender.unanswered

    def check(self, up: Up) -> None:
        """Stop a running Twofold in good order; everything taken is there, once, and nothing that nobody sent.

        The receivers' own account balances (P5), the first and the last item of each kind can be read through the
        API, exactly one worker is at work, and no fault is in the log.
        """
        for account in _balances(up):
            account.check()
        wait_for(lambda: _readable_through_the_api(up, self.taken), COLD_S, lambda: "first or last items are not there")
        wait_for(lambda: _derived(up), COLD_S, lambda: "no window of spans was ever closed")
        wait_for(lambda: len(up.worker_pids()) == 1, 60)  # orphans of killed ones are gone, one is at work
        assert up.stop() == 0
        wait_for(lambda: not up.worker_pids(), 20, lambda: f"workers are left: {up.worker_pids()}")
        found = _stored(up)
        for kind in KINDS:
            assert self.taken[kind], "nothing was sent"
            assert self.taken[kind] <= found[kind].keys(), f"acknowledged {kind} are gone"
            assert found[kind].keys() <= self.taken[kind] | self.perhaps[kind], f"{kind} that nobody sent"
            assert set(found[kind].values()) == {1}, f"{kind} stand twice"
        assert set(found["derived"].values()) == {1}, "derived samples stand twice"
        assert any(name.startswith("span.rate") for name in found["derived"])
        log = up.log.read_text()
        assert "Traceback" not in log, log[log.find("Traceback") - 500 :][:3000]


def _balances(up: Up) -> Iterator[Account]:
    """The receivers' own account since the last start, by item."""
    with up.client() as client:
        text = client.get("/metrics").text
    totals: dict[tuple[str, str], int] = {}
    for line in text.splitlines():
        if line.startswith("twofold_ingest_items_total{"):
            labels, _, value = line.partition("{")[2].rpartition("} ")
            named = dict(pair.split("=", 1) for pair in labels.split(","))
            key = named["item"].strip('"'), named["outcome"].strip('"')
            totals[key] = totals.get(key, 0) + int(float(value))
    for item in {item for item, _ in totals}:
        got = {outcome: totals.get((item, outcome), 0) for outcome in ("received", "stored", "duplicate")}
        yield Account(
            **got,
            rejected={"any": totals.get((item, "rejected"), 0)},
            dropped={"any": totals.get((item, "dropped"), 0)},
        )


def _stored(up: Up) -> dict[str, Counter[str]]:
    """Names of all items in the history, by kind; and what stages derived, as `derived`."""
    history = DeltaHistory(up.data / "history", config=HistoryConfig(sql=SqlLimits(rows=2_000_000, seconds=120)))
    catalog = FileCatalog(up.data / "catalog")
    try:
        lines = history.query("SELECT body FROM logs", tenant="main")["body"].to_pylist()
        spans = history.query("SELECT attributes FROM spans", tenant="main")["attributes"].to_pylist()
        samples = history.query("SELECT sid, time_ns FROM samples", tenant="main").to_pylist()
    finally:
        history.close()
    named: Counter[str] = Counter()
    derived: Counter[str] = Counter()
    for row in samples:
        series = catalog.get(row["sid"], tenant="main")  # a sample whose series nobody knows would raise here
        if series.metric.startswith("sent."):
            named[series.labels["who"]] += 1
        else:
            derived[f"{series.metric} {sorted(series.labels.items())} {row['time_ns']}"] += 1
    return {
        "metrics": named,
        "logs": Counter(lines),
        "traces": Counter(orjson.loads(text)["who"] for text in spans),
        "derived": derived,
    }


def _derived(up: Up) -> bool:
    """Whether a sample that stages made of spans can be read."""
    with up.client() as client:
        series = client.get("/api/v1/series", params={"metric": "span.rate"}).raise_for_status().json()["items"]
        points = (client.get(f"/api/v1/series/{each['sid']}/points").raise_for_status().json() for each in series)
        return any(found["mean"] for found in points)


def _readable_through_the_api(up: Up, acknowledged: dict[str, set[str]]) -> bool:
    """Whether one item of each kind, of the first life and of the last, is there; once, if it is.

    What was acknowledged is on disk. Readers see it when the recorder has taken it, which may lag behind by seconds
    while the processors are busy with others.
    """
    found = []
    with up.client() as client:
        for who in (min(acknowledged["logs"]), max(acknowledged["logs"])):
            lines = checked(client.get("/api/v1/logs", params={"q": who}))["items"]
            found.append([line["body"] for line in lines])
            assert found[-1] in ([], [who])
        for who in (min(acknowledged["metrics"]), max(acknowledged["metrics"])):
            metric = f"sent.{who.split('x', maxsplit=1)[0]}"
            series = checked(client.get("/api/v1/series", params={"metric": metric, "limit": 1000}))["items"]
            (one,) = (each for each in series if each["labels"]["who"] == who)
            found.append(checked(client.get(f"/api/v1/series/{one['sid']}/points"))["mean"])
            assert len(found[-1]) <= 1
        for who in (min(acknowledged["traces"]), max(acknowledged["traces"])):
            trace = f"{int.from_bytes(who.encode(), 'big') % 2**128:032x}"
            answer = client.get(f"/api/v1/traces/{trace}")
            found.append([] if answer.status_code == NOT_FOUND else checked(answer)["spans"])
    return all(found)
