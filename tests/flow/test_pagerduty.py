"""Debian's Alertmanager believes that we are PagerDuty: it triggers, and resolves by the key alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.flow.receiving import receiving
from tests.flow.test_prometheus import ALERTMANAGER, free_port, running
from twofold.aiops.correlate.book import Book
from twofold.aiops.correlate.config import CorrelateConfig
from twofold.records.alert import AlertState
from twofold.records.time import to_ns

CONFIG = """
route: {{receiver: twofold, group_by: [alertname], group_wait: 1s, group_interval: 1s}}
receivers:
  - name: twofold
    pagerduty_configs:
      - routing_key: anything
        url: {url}/webhooks/pagerduty/v2/enqueue
        severity: '{{{{ .CommonLabels.severity }}}}'
        component: '{{{{ .CommonLabels.job }}}}'
"""

pytestmark = pytest.mark.skipif(ALERTMANAGER is None, reason="needs the Debian package prometheus-alertmanager on PATH")


def send(port: int, ends: datetime) -> None:
    """Raise or end the alert, once Alertmanager listens."""
    alert = {"labels": {"alertname": "CartDown", "job": "cart", "severity": "critical"}, "endsAt": ends.isoformat()}
    deadline = time.monotonic() + 20
    while True:
        try:
            httpx.post(f"http://127.0.0.1:{port}/api/v2/alerts", json=[alert]).raise_for_status()
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def test_alertmanagers_own_pagerduty_sender_raises_and_ends_an_alert(tmp_path: Path) -> None:
    assert ALERTMANAGER
    port = free_port()
    with receiving(tmp_path) as server:
        (tmp_path / "alertmanager.yml").write_text(CONFIG.format(url=server.url))
        command = (
            ALERTMANAGER,
            "--config.file=alertmanager.yml",
            f"--storage.path={tmp_path / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        )
        with running(tmp_path, *command):
            send(port, datetime.now(UTC) + timedelta(minutes=5))
            server.eventually(lambda: len(server.events()) >= 1)
            send(port, datetime.now(UTC) - timedelta(seconds=1))
            server.eventually(lambda: any(event.state == "resolved" for event in server.events()))
        events = server.events()
    first, last = events[0], events[-1]
    assert (first.entity, first.state, first.attributes["severity"]) == ("service:cart", "firing", "critical")
    assert last.attributes["fingerprint"] == first.attributes["fingerprint"]
    book = Book(CorrelateConfig(), backfilled=False)
    lives = [book.outside(event, to_ns(event.time)) for event in events]
    assert lives[0] is not None
    assert lives[0].alert.state is AlertState.RESOLVED
