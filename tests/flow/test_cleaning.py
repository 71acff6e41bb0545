"""From the wire to the tables nothing is lost uncounted: late, doubled, disordered, dropped, refused, scrubbed."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conservation import Account, stored_rows
from tests.unit.ingest.messages import logs_request, snappy, write_request
from tests.unit.ingest.null import NOW_NS, Bench, NullJournal
from tests.unit.ingest.test_remote_write import HEADERS
from twofold.aiops.ingest.clean.config import Action, CleanConfig, DropRule, RelabelRule, Scrub, ScrubConfig
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts, Item
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.otlp.message import PROTOBUF
from twofold.aiops.ingest.prometheus.remote_write import RemoteWrite
from twofold.aiops.ingest.receiver import Payload
from twofold.records.frame import Lane, Position
from twofold.store.catalog.files import FileCatalog
from twofold.store.history import Table
from twofold.store.history.delta import DeltaHistory

SECOND_MS = 1000
NOW_MS = NOW_NS // 10**6
CLEAN = CleanConfig(
    relabel=(
        RelabelRule(source_labels=("__name__",), regex="noise", action=Action.DROP, name="noise"),
        RelabelRule(action=Action.LABELDROP, regex="pod"),
    ),
    drop=(DropRule(name="debug", match="^debug"),),
    scrub=ScrubConfig(kinds=(Scrub.EMAIL,)),
    past_s=3600.0,
)
# (metric, pod, seconds before now, value): a pod is no label, so its samples meet in one series.
SAMPLE = st.tuples(
    st.sampled_from(["load", "noise", "wait"]),
    st.sampled_from(["p1", "p2"]),
    st.sampled_from([-700, 0, 1, 2, 60, 3599, 3601, 7200]),
    st.sampled_from([1.0, 2.0, float("nan")]),
)
REQUESTS = st.lists(st.lists(SAMPLE, min_size=1, max_size=12), min_size=1, max_size=6)


def cleaned_bench(folder: Path) -> Bench:
    catalog: Any = FileCatalog(folder, limit_per_metric=50)  # the real one in the place of one in memory
    return Bench(config=IngestConfig(walker=False, clean=CLEAN), catalog=catalog)


def history_of(folder: Path, journal: NullJournal) -> DeltaHistory:
    """Tables that hold what the journal got, frame by frame."""
    history = DeltaHistory(folder)
    for number, frame in enumerate(journal.frames):
        history.append(0, [(Position(0, number + 1), frame)])
        if number % 3 == 0:
            history.flush()
    return history


def check(requests: list[list[tuple[str, str, int, float]]]) -> None:
    with TemporaryDirectory() as made:
        root = Path(made)
        journal, counts = NullJournal(), Counts()
        catalog = FileCatalog(root / "catalog", limit_per_metric=50)
        config = IngestConfig(walker=False, clean=CLEAN)
        receiver = RemoteWrite(Intake(journal, catalog, counts, config, lambda: NOW_NS))
        origin = Origin(tenant="main", lane=Lane.LIVE, time_ns=NOW_NS)
        expected: dict[tuple[str, int], float] = {}
        for request in requests:
            series = [
                ({"__name__": metric, "job": "cart", "pod": pod}, [(NOW_MS - ago * SECOND_MS, value)])
                for metric, pod, ago, value in request
            ]
            body = write_request(*series).SerializeToString()
            answer = receiver.receive(Payload(body=body, media=PROTOBUF, origin=origin))
            assert answer.status_code in {204, 400}
            for metric, _, ago, value in request:
                if metric != "noise" and -600 <= ago <= 3600 and np.isfinite(value):
                    expected[metric, NOW_NS - ago * 10**9] = value
        history = history_of(root / "history", journal)
        points = counts.total(Item.POINTS)
        sids = {each.sid: each.metric for each in catalog.find(tenant="main")}
        rows = history.samples(sorted(sids), 0, 2 * NOW_NS, tenant="main").to_pylist()
        assert {(sids[row["sid"]], row["time_ns"]): row["value"] for row in rows} == expected
        history.flush()
        Account(
            received=points.received,
            stored=stored_rows(history, Table.SAMPLES),
            duplicate=points.duplicate + history.counts["duplicate"],
            rejected=points.rejected,
            dropped=points.dropped,
        ).check()
        assert set(points.rejected) <= {"future", "too_old"}
        assert set(points.dropped) <= {"relabel_noise", "not_finite"}
        history.close()


@given(REQUESTS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_of_samples_of_one_series_and_time_the_last_stays_and_all_are_accounted_for(
    requests: list[list[tuple[str, str, int, float]]],
) -> None:
    """The tables hold what a dict holds, whatever the order; received = stored + duplicate + rejected + dropped."""
    check(requests)


@pytest.mark.long
@pytest.mark.timeout(1800)
@given(REQUESTS)
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_same_two_thousand_times(requests: list[list[tuple[str, str, int, float]]]) -> None:
    check(requests)


def test_a_bomb_of_series_stays_within_the_limit_and_names_its_label(tmp_path: Path) -> None:
    bench = cleaned_bench(tmp_path / "catalog")
    for start in range(0, 500, 100):
        series = [
            ({"__name__": "requests", "job": "cart", "user": f"u{number}"}, [(NOW_MS, 1.0)])
            for number in range(start, start + 100)
        ]
        answer = bench.client.post("/api/v1/write", content=snappy(write_request(*series)), headers=HEADERS)
    assert "its label user has 50 values" in answer.text
    history = history_of(tmp_path / "history", bench.journal)
    points = bench.counts.total(Item.POINTS)
    Account(received=500, stored=stored_rows(history, Table.SAMPLES), rejected=points.rejected).check()
    assert points.rejected == {"metric_cardinality": 450}
    assert bench.catalog.count(tenant="main") == 50
    history.close()


def test_lines_are_dropped_and_scrubbed_before_the_journal(tmp_path: Path) -> None:
    bench = cleaned_bench(tmp_path / "catalog")
    request = logs_request("debug one", "mail to bob@example.com", "fine")
    headers = {"content-type": "application/x-protobuf"}
    assert bench.client.post("/v1/logs", content=request.SerializeToString(), headers=headers).status_code == 200
    history = history_of(tmp_path / "history", bench.journal)
    logs = bench.counts.total(Item.LOGS)
    Account(received=3, stored=stored_rows(history, Table.LOGS), dropped=logs.dropped).check()
    found = history.query("SELECT body FROM logs ORDER BY body", tenant="main")["body"].to_pylist()
    assert found == ["fine", "mail to [email]"]
    history.close()
