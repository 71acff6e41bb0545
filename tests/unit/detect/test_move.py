"""What is cut out of a state names its rows by their new numbers, and nothing that went elsewhere."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.detect.telemetry import MemoryCatalog, samples
from twofold.aiops.detect import move
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.joint.config import JointConfig
from twofold.aiops.detect.joint.stage import Joint
from twofold.aiops.detect.panel import Panel
from twofold.stats.joint.layout import NONE, PAIR
from twofold.stats.series import layout

ROW = layout.row_type(PanelConfig().season_bins)
PODS = 4


def panel() -> tuple[Panel, list[int]]:
    """Pods of one deployment, two series each: the first pod is the donor of the others."""
    catalog = MemoryCatalog()
    for pod in range(PODS):
        for metric in ("cpu", "memory"):
            entity = f"pod:a-{pod}"
            catalog.register(metric, {"pod": f"a-{pod}"}, entity=entity, tenant="main")
    sids = list(catalog.series)
    stage = Panel(catalog)
    for step in range(40):
        stage.process([samples(sids, [step * 10.0] * len(sids), [float(n + step % 2) for n in range(len(sids))])])
    return stage, sids


def rows_of(state: Any) -> Any:
    return np.ascontiguousarray(state["rows"]).view(ROW).reshape(-1)


@settings(deadline=None)  # the first call loads kernels
@given(st.lists(st.booleans(), min_size=8, max_size=8))
def test_rows_stay_as_they_are_and_point_at_each_other_as_before(kept: list[bool]) -> None:
    stage, sids = panel()
    before, keep = stage.snapshot(), np.array(kept)
    after = move.panel_of(before, keep, ROW)
    assert np.asarray(after["sids"]).tolist() == [sid for sid, stays in zip(sids, kept, strict=True) if stays]
    old, new = rows_of({"rows": np.asarray(before["rows"])[keep]}), rows_of(after)
    assert (old["donor"] > 0).sum() == sum(kept[2:])
    donors = [before["sids"][row - 1] if row and kept[row - 1] else 0 for row in old["donor"].tolist()]
    assert [after["sids"][row - 1] if row else 0 for row in new["donor"].tolist()] == donors
    old["donor"] = new["donor"] = 0
    assert old.view(np.uint8).tolist() == new.view(np.uint8).tolist()
    known = json.loads(bytes(after["panel"]))
    names = [f"pod:a-{n // 2}" for n in range(8)]
    mine = [known["entities"][number] for number in np.asarray(after["entity"]).tolist()]
    assert mine == [name for name, stays in zip(names, kept, strict=True) if stays]
    assert known["entities"] == sorted(set(mine)), "entities of others are forgotten"


def test_what_was_told_goes_with_its_row() -> None:
    stage, _ = panel()
    state = stage.snapshot()
    known = json.loads(bytes(state["panel"]))
    known["told"] = [[1, 7, 2.0], [5, 8, 3.0]]
    known["lasting"] = [{"row": 4, "time_ns": 1}, {"row": 0, "time_ns": 2}]
    silences = json.loads(bytes(state["absence"]))
    silences["open"] = [{"row": 6, "entity": 3, "onset_ns": 1}, {"row": 0, "entity": 0, "onset_ns": 2}]
    state = {**state, "panel": json.dumps(known).encode(), "absence": json.dumps(silences).encode()}
    after = move.panel_of(state, np.arange(8) >= 4, ROW)
    known = json.loads(bytes(after["panel"]))
    assert known["told"] == [[1, 8, 3.0]]
    assert known["lasting"] == [{"row": 0, "time_ns": 1}]
    assert json.loads(bytes(after["absence"]))["open"] == [{"row": 2, "entity": 1, "onset_ns": 1}]


def test_nothing_left_is_a_state_too() -> None:
    stage, _ = panel()
    again = Panel(MemoryCatalog())
    again.restore(move.panel_of(stage.snapshot(), np.zeros(8, np.bool_), ROW))
    assert len(again) == 0
    assert list(again.advance(10**18)) == []


def test_pairs_keep_partners_that_stay_and_lose_the_others() -> None:
    catalog = MemoryCatalog()
    for n in range(6):
        catalog.register("cpu", {"n": str(n)}, entity=f"service:{n // 3}", tenant="main")
    stage, sids = Joint(catalog, JointConfig(apart=True, tick_s=5.0)), list(catalog.series)
    rng = np.random.default_rng(2)
    for step in range(60):
        base = float(rng.standard_normal())
        stage.process(
            [samples(sids, [step * 5.0] * 6, [base + n + 0.1 * float(rng.standard_normal()) for n in range(6)])]
        )
        stage.advance(1_767_225_600 * 10**9 + step * 5 * 10**9)
    state, keep = stage.snapshot(), np.array([True, False, True, True, True, True])
    pairs = np.ascontiguousarray(state["pairs"]).view(PAIR).reshape(-1)
    assert (pairs["partner"] == 1).any()
    after = move.joint_of(state, keep, lambda _: True)
    found = np.ascontiguousarray(after["pairs"]).view(PAIR).reshape(-1)
    number = np.array([0, NONE, 1, 2, 3, 4, NONE])
    assert found["partner"].tolist() == number[pairs["partner"][keep]].tolist()
    assert not found["met"][found["partner"] == NONE].any()
    assert np.asarray(after["held_at"]).tolist() == [number[row] for row in np.asarray(state["held_at"]) if keep[row]]
    again = Joint(catalog, JointConfig(apart=True, tick_s=5.0))
    again.restore(after)
    assert len(again) == 5
