"""`twofold import` brings in what a real Prometheus holds, and files, through real receivers; killed, it goes on."""

from __future__ import annotations

import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from tests.flow.receiving import receiving
from tests.flow.test_prometheus import free_port, running
from twofold.aiops.ingest.counts import Item
from twofold.cli.main import app
from twofold.cli.output import Exit
from twofold.records.frame import FrameKind, Lane
from twofold.records.series import SeriesKind

PROMETHEUS = shutil.which("prometheus")
VICTORIAMETRICS = shutil.which("victoria-metrics")
START = 1_767_225_600


class DiesAfterOne(BaseHTTPRequestHandler):
    """A server that takes one request and hangs up on the next."""

    taken = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        if type(self).taken:
            self.close_connection = True
            return
        type(self).taken += 1
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the library's name
        """Nothing."""


@pytest.fixture
def twofold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command against a server."""

    def run(url: str, *arguments: str) -> Result:
        monkeypatch.setenv("TWOFOLD_URL", url)
        monkeypatch.setenv("TWOFOLD_HOME", str(tmp_path / "home"))
        return CliRunner().invoke(app, list(arguments))

    return run


@pytest.mark.skipif(PROMETHEUS is None, reason="needs the Debian package prometheus on PATH")
def test_everything_that_a_prometheus_holds_comes_in_once(tmp_path: Path, twofold: Any) -> None:
    port = free_port()
    scrape = f'{{job_name: prometheus, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}'
    (tmp_path / "prometheus.yml").write_text(f"global: {{scrape_interval: 1s}}\nscrape_configs: [{scrape}]\n")
    assert PROMETHEUS
    url = f"http://127.0.0.1:{port}"
    address = f"--web.listen-address=127.0.0.1:{port}"
    store = f"--storage.tsdb.path={tmp_path / 'prometheus'}"
    with (
        running(tmp_path, PROMETHEUS, "--config.file=prometheus.yml", store, address),
        receiving(tmp_path) as server,
    ):
        server.eventually(lambda: answers(f"{url}/-/ready"))
        server.eventually(lambda: len(values(url, 'up{job="prometheus"}[1m]', time.time())) >= 4)
        until = time.time() - 0.5
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))
        ran = twofold(server.url, "import", "prometheus", url, "--since", "1m", "--until", text, "--window", "2s")
        assert ran.exit_code == 0, ran.output
        end = float(int(until))
        expected = values(url, 'go_goroutines{job="prometheus"}[1m]', end)
        found = server.samples()
        (key,) = [each for each in found if each[0] == "go_goroutines"]
        assert [(time_ns // 10**6, value) for time_ns, value in found[key]] == expected
        kinds = {each.metric: each.kind for each in server.series().values()}
        assert kinds["prometheus_http_requests_total"] is SeriesKind.COUNTER
        assert {frame.lane for frame in server.frames() if frame.kind is FrameKind.SAMPLES} == {Lane.BACKFILL}
        stored = server.counts.total(Item.POINTS).stored
        assert stored == len(server.rows(FrameKind.SAMPLES)) > 300


@pytest.mark.skipif(VICTORIAMETRICS is None, reason="needs the Debian package victoria-metrics on PATH")
def test_everything_that_a_victoriametrics_exports_comes_in_once(tmp_path: Path, twofold: Any) -> None:
    port = free_port()
    assert VICTORIAMETRICS
    url = f"http://127.0.0.1:{port}"
    store = f"-storageDataPath={tmp_path / 'victoria'}"
    begin = int(time.time()) - 600
    sent = [(begin + number, float(number)) for number in range(500)]
    text = "".join(f'orders_total{{job="cart",zone="a b"}} {value} {at * 1000}\n' for at, value in sent)
    with (
        running(tmp_path, VICTORIAMETRICS, store, f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=1y"),
        receiving(tmp_path) as server,
    ):
        server.eventually(lambda: answers(f"{url}/health"))
        httpx.post(f"{url}/api/v1/import/prometheus", content=text).raise_for_status()
        httpx.get(f"{url}/internal/force_flush")
        ran = twofold(server.url, "import", "victoriametrics", url, "--since", "15m", "--window", "100s")
        assert ran.exit_code == 0, ran.output
        key = ("orders_total", (("job", "cart"), ("zone", "a b")))
        assert [(time_ns // 10**9, value) for time_ns, value in server.samples()[key]] == sent
        assert len(server.rows(FrameKind.SAMPLES)) == len(sent)


def answers(url: str) -> bool:
    """Whether a server is there."""
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False


def values(url: str, query: str, end: float) -> list[tuple[int, float]]:
    """Samples of the first series, as Prometheus tells them."""
    try:
        answer = httpx.get(f"{url}/api/v1/query", params={"query": query, "time": str(end)}).json()
    except httpx.HTTPError:
        return []
    result = answer["data"]["result"]
    return [(round(at * 1000), float(value)) for at, value in result[0]["values"]] if result else []


def test_a_file_is_imported_and_an_interrupted_import_goes_on(tmp_path: Path, twofold: Any) -> None:
    path = tmp_path / "cart.csv"
    path.write_text("time,value\n" + "".join(f"{START + number},{number}\n" for number in range(120_000)))
    command = ("import", "file", str(path), "--metric", "orders", "--service", "cart")
    with ThreadingHTTPServer(("127.0.0.1", 0), DiesAfterOne) as dying:
        threading.Thread(target=dying.serve_forever, daemon=True).start()
        ran = twofold(f"http://127.0.0.1:{dying.server_address[1]}", *command)
        dying.shutdown()
    assert ran.exit_code == Exit.UNREACHABLE
    assert "goes on where it stopped" in ran.output
    with receiving(tmp_path) as server:
        assert twofold(server.url, *command).exit_code == 0
        (samples,) = server.samples().values()
        assert samples[0][1] == 50_000, "the first part was acknowledged before"
        assert samples[-1][1] == 119_999
        (series,) = server.series().values()
        assert (series.metric, series.entity) == ("orders", "service:cart")
        assert twofold(server.url, *command).exit_code == 0, "a finished one begins anew"
        assert server.counts.total(Item.POINTS).received == 70_000 + 120_000
