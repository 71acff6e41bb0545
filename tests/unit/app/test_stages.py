"""Which stages a tenant's telemetry goes through."""

from __future__ import annotations

from pathlib import Path

import pytest

from twofold.app.stages import STAGES, builder
from twofold.config import Config
from twofold.errors import ConfigError
from twofold.joints.detectors import Released
from twofold.mlops.monitor.profiles import Profiles
from twofold.records.frame import Lane
from twofold.store.blobs.files import FileBlobs
from twofold.store.catalog.files import FileCatalog
from twofold.store.ledger.sql import open_ledger


def names(home: Path, *without: str, partition: int = 0, partitions: int = 1) -> list[str]:
    home.mkdir(exist_ok=True)
    ledger, blobs = open_ledger(home / "ledger.sqlite"), FileBlobs(home / "blobs")
    released = Released(ledger, blobs)
    released.ensure()
    config = Config(home=home, without=without)
    build = builder(
        config,
        FileCatalog(home / "catalog"),
        ledger,
        Profiles(ledger, blobs),
        released,
        partition=partition,
        partitions=partitions,
    )
    found = [stage.name for stage in build("main", Lane.LIVE).stages]
    ledger.close()
    return found


def test_every_stage_runs_but_the_shadow_that_nobody_asked_for(tmp_path: Path) -> None:
    assert set(names(tmp_path)) == STAGES - {"shadow"}


def test_stages_can_be_left_out(tmp_path: Path) -> None:
    every = names(tmp_path / "all")
    assert names(tmp_path / "some", "joint", "mining") == [each for each in every if each not in {"joint", "mining"}]
    assert names(tmp_path / "none", *STAGES) == []


def test_what_comes_together_stands_in_the_first_partition(tmp_path: Path) -> None:
    alone = names(tmp_path / "alone")
    assert names(tmp_path / "first", partition=0, partitions=2) == ["inbox", *alone]
    together = {"delivery", "correlate", "diagnose"}
    assert names(tmp_path / "second", partition=1, partitions=2) == [each for each in alone if each not in together]


def test_a_stage_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no stage is called pannel; there are capacity, .*panel"):
        names(tmp_path, "pannel")
