"""SIGKILL while a folder gets more partitions: it has the old layout or the new one, and forgets nothing in either."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pytest

from tests.fault.up import Up, checked, wait_for
from twofold.aiops.detect.config import PanelConfig
from twofold.app.partitions import LAYOUT
from twofold.errors import NotFound
from twofold.flow import checkpoint
from twofold.flow.homes import partition_of
from twofold.flow.runner import checkpoint_name
from twofold.stats.series.layout import row_type
from twofold.store.blobs.files import FileBlobs
from twofold.store.catalog.files import FileCatalog

SERVICES: Final = [f"shop{number}" for number in range(12)]
STEPS: Final = 30
BEFORE: Final = 1
AFTER: Final = 3
KILLS: Final = {1: BEFORE, 2: BEFORE, 3: AFTER}
"""Layout that the folder has after a kill at each pass of the failpoint."""


def send(up: Up, round_: int) -> None:
    """Some minutes of one series a service."""
    now_ns = time.time_ns() - 1_000_000_000
    resources = [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": name}}]},
            "scopeMetrics": [
                {
                    "metrics": [
                        {
                            "name": "queue.size",
                            "gauge": {
                                "dataPoints": [
                                    {
                                        "timeUnixNano": str(now_ns - (STEPS - step) * 1_000_000_000 // 30),
                                        "asDouble": float(step % 3 + round_),
                                    }
                                    for step in range(STEPS)
                                ]
                            },
                        }
                    ]
                }
            ],
        }
        for name in SERVICES
    ]
    with up.client() as client:
        checked(
            client.post(
                "/v1/metrics",
                content=orjson.dumps({"resourceMetrics": resources}),
                headers={"content-type": "application/json"},
            )
        )


def learnt(up: Up, partitions: int) -> dict[str, int]:
    """Samples learnt of each service, out of the checkpoints; every series in its own partition, once."""
    blobs = FileBlobs(up.data / "blobs")
    found: dict[str, int] = {}
    catalog = _names(up)
    for partition in range(partitions):
        saved = checkpoint.load(blobs, checkpoint_name(partition))
        assert saved is not None
        assert saved.partitions == partitions
        for states in saved.states.values():
            state: Any = states["panel"]
            rows = np.ascontiguousarray(state["rows"]).view(row_type(PanelConfig().season_bins)).reshape(-1)
            for sid, count in zip(state["sids"].tolist(), rows["count"].tolist(), strict=True):
                name = catalog[sid]
                assert partition_of(f"service:{name}", partitions) == partition
                assert name not in found
                found[name] = count
    return found


def _names(up: Up) -> dict[int, str]:
    catalog = FileCatalog(up.data / "catalog")
    return {s.sid: s.entity.partition(":")[2] for s in catalog.find(tenant="main", metric="queue.size", limit=100)}


def layout(up: Up) -> int:
    """Number of partitions, as the folder says."""
    try:
        return int(FileBlobs(up.data / "blobs").get(LAYOUT))
    except NotFound:
        return len(list((up.data / "journal").glob("p*")))


@pytest.mark.timeout(600)
def test_a_kill_leaves_the_old_layout_or_the_new_one(tmp_path: Path) -> None:
    up = Up(tmp_path, {"partitions": BEFORE})
    sent = 0
    try:
        for kill, stands in KILLS.items():
            up.configure({"partitions": BEFORE})
            up.start()
            send(up, kill)
            sent += STEPS
            up.kill()  # what was answered stands in the journal alone
            up.configure({"partitions": AFTER})
            assert not up.start({"TWOFOLD_FAILPOINT": f"rescale:{kill}"}, may_end=True)
            assert layout(up) == stands
        up.start()
        send(up, 9)
        sent += STEPS
        with up.client() as client:
            wait_for(lambda: "twofold_pipeline_frames_total" in client.get("/metrics").text, 10)
        time.sleep(1.0)
        assert up.stop() == 0
        assert learnt(up, AFTER) == dict.fromkeys(SERVICES, sent)
        up.configure({"partitions": BEFORE})
        with pytest.raises(AssertionError, match="set at least 3"):
            up.start()
    finally:
        up.stop()
