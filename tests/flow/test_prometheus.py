"""Debian's Prometheus remote-writes to us, and Alertmanager tells us of its alerts."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.flow.receiving import Receiving, free_socket, receiving
from twofold.aiops.ingest.config import IngestConfig, ScrapeTarget
from twofold.aiops.ingest.counts import Item
from twofold.records.event import Event, EventKind
from twofold.records.series import SeriesKind

PROMETHEUS = shutil.which("prometheus")
ALERTMANAGER = shutil.which("prometheus-alertmanager")

PROMETHEUS_YML = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
scrape_configs:
  - {{job_name: prometheus, static_configs: [{{targets: ["127.0.0.1:{own}"]}}]}}
  - {{job_name: cart, static_configs: [{{targets: ["127.0.0.1:{nobody}"]}}]}}
remote_write:
  - url: {url}/api/v1/write
    metadata_config: {{send_interval: 1s}}
    queue_config: {{batch_send_deadline: 1s}}
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}
rule_files: [rules.yml]
"""
RULES_YML = """
groups:
  - name: shop
    rules:
      - alert: CartDown
        expr: up{job="cart"} == 0
        labels: {severity: critical}
        annotations: {summary: "cart does not answer"}
"""
ALERTMANAGER_YML = """
route: {{receiver: twofold, group_wait: 1s, group_interval: 1s}}
receivers:
  - {{name: twofold, webhook_configs: [{{url: "{url}/webhooks/alertmanager", send_resolved: true}}]}}
"""

pytestmark = pytest.mark.skipif(
    PROMETHEUS is None or ALERTMANAGER is None,
    reason="needs the Debian packages prometheus and prometheus-alertmanager on PATH",
)


def free_port() -> int:
    with free_socket() as held:
        port: int = held.getsockname()[1]
        return port


@contextmanager
def running(folder: Path, *command: str) -> Iterator[None]:
    """A program, ended with the block; its output stands in the folder."""
    with (folder / "output.txt").open("ab") as output:
        program = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        try:
            yield
            assert program.poll() is None, (folder / "output.txt").read_text()[-2000:]
        finally:
            program.terminate()
            program.wait(20)


@contextmanager
def prometheus(folder: Path, server: Receiving, nobody: int) -> Iterator[int]:
    """Prometheus and Alertmanager pointed at the server; gives Prometheus's port."""
    assert PROMETHEUS
    assert ALERTMANAGER
    own, alertmanager = free_port(), free_port()
    words = {"own": own, "nobody": nobody, "url": server.url, "alertmanager": alertmanager}
    (folder / "prometheus.yml").write_text(PROMETHEUS_YML.format(**words))
    (folder / "rules.yml").write_text(RULES_YML)
    (folder / "alertmanager.yml").write_text(ALERTMANAGER_YML.format(**words))
    with ExitStack() as stack:
        stack.enter_context(
            running(
                folder,
                ALERTMANAGER,
                "--config.file=alertmanager.yml",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{alertmanager}",
                "--cluster.listen-address=",
            )
        )
        stack.enter_context(
            running(
                folder,
                PROMETHEUS,
                "--config.file=prometheus.yml",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{own}",
            )
        )
        yield own


def test_prometheus_writes_its_samples_and_alertmanager_its_alerts(tmp_path: Path) -> None:
    with receiving(tmp_path) as server, free_socket() as nobody:
        with prometheus(tmp_path, server, nobody.getsockname()[1]):
            server.eventually(lambda: any(event.state == "firing" for event in server.events()))
            server.eventually(lambda: len(up(server)) >= 3)
        assert_alert(server.events())
        series = {each.metric: each for each in server.series().values()}
        assert series["prometheus_http_requests_total"].entity == "service:prometheus"
        assert series["prometheus_http_requests_total"].kind is SeriesKind.COUNTER
        assert series["process_resident_memory_bytes"].unit == "By"
        assert {value for _, value in up(server)} == {1.0}
        points = server.counts.total(Item.POINTS)
        assert points.stored > 500
        assert not points.rejected


def up(server: Receiving) -> list[tuple[int, float]]:
    """Samples of `up` of Prometheus itself."""
    samples = server.samples()
    return next(
        (found for (name, labels), found in samples.items() if name == "up" and ("job", "prometheus") in labels), []
    )


def assert_alert(events: Sequence[Event]) -> None:
    event = next(each for each in events if each.state == "firing")
    assert (event.kind, event.entity, event.title) == (
        EventKind.EXTERNAL_ALERT,
        "service:cart",
        "cart does not answer",
    )
    assert event.attributes["severity"] == "critical"


def test_our_own_scrape_of_prometheus_is_read_without_loss(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "prometheus.yml").write_text("global: {scrape_interval: 60s}\n")
    target = ScrapeTarget(job="prometheus", url=f"http://127.0.0.1:{port}/metrics", interval_s=0.5, timeout_s=5)
    assert PROMETHEUS
    with (
        running(
            tmp_path,
            PROMETHEUS,
            "--config.file=prometheus.yml",
            f"--storage.tsdb.path={tmp_path / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ),
        receiving(tmp_path, IngestConfig(scrape=(target,))) as server,
    ):
        server.eventually(lambda: any(value == 1.0 for _, value in up(server)))
        names = {each.metric for each in server.series().values()}
        assert {"go_goroutines", "prometheus_build_info", "scrape_duration_seconds"} <= names
        kinds = {each.metric: each.kind for each in server.series().values()}
        assert kinds["go_memstats_mallocs_total"] is kinds["go_gc_duration_seconds_count"] is SeriesKind.COUNTER
        assert kinds["go_goroutines"] is SeriesKind.GAUGE
