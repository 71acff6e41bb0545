"""Other settings of our own detectors: what is none is refused with a sentence, whoever sends it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from twofold.errors import TwofoldError
from twofold.joints.detectors import Released, configure
from twofold.store.blobs.files import FileBlobs
from twofold.store.ledger import Ledger
from twofold.store.ledger.sql import open_ledger


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, FileBlobs]]:
    home: Path = tmp_path_factory.mktemp("stores")
    ledger, blobs = open_ledger(home / "ledger.sqlite"), FileBlobs(home / "blobs")
    Released(ledger, blobs).ensure()
    yield ledger, blobs
    ledger.close()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1, -0.5, 10**400, True, None, "", "many", [1], {}])
@pytest.mark.parametrize("setting", ["panel.alerts_per_day", "causes.max_evidence", "capacity.horizon_s"])
def test_a_value_that_no_setting_takes_is_refused(
    stores: tuple[Ledger, FileBlobs], setting: str, value: object
) -> None:
    model, _, name = setting.partition(".")
    with pytest.raises(TwofoldError, match=name):
        configure(*stores, model, {name: value}, description="", owner="robin", tenant="main")
