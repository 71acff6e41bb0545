"""The table of faults, the truth on file, and the schedule."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from demo.control.faults import FAULTS
from demo.control.truth import Truth
from demo.plan import DECOY, PLANS, drive, main
from demo.shop.names import FEEDS, SERVICES
from twofold.records.entity import EntityKind

KINDS = {kind.value for kind in EntityKind}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_fault_names_its_cause_as_twofold_does_and_a_remedy_of_the_control(fault: object) -> None:
    known = FAULTS[fault.name]  # type: ignore[attr-defined]  # parametrized
    assert {cause.split(":")[0] for cause in known.causes} <= KINDS
    targets = {remedy.split("/")[2] for remedy in known.remedies}
    assert targets <= {*SERVICES, *FEEDS}
    assert bool(known.remedies) == bool(known.entity)
    assert known.service in {*SERVICES, ""}


def test_a_fault_with_a_cause_in_a_service_names_the_service_it_breaks() -> None:
    for fault in FAULTS.values():
        if fault.entity.startswith("service:"):
            assert fault.entity == f"service:{fault.service}"


def test_truth_is_added_to_the_file_and_never_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    first = Truth(path)
    entry = first.begin(FAULTS["drift"], "catalog")
    before = path.read_text(encoding="utf-8")
    first.end(entry, "remedy")
    after = path.read_text(encoding="utf-8")
    assert after.startswith(before)
    lines = [json.loads(line) for line in after.splitlines()]
    assert [line["ended_by"] for line in lines] == ["", "remedy"]
    assert lines[0]["id"] == lines[1]["id"]
    assert lines[1]["started"] < lines[1]["ended"] or lines[1]["started"] == lines[1]["ended"]
    assert lines[0]["accepted"][0] == "feature:recommender/price"
    again = Truth(path)
    assert again.begin(FAULTS["latency"], "catalog").id not in {line["id"] for line in lines}
    assert [item["fault"] for item in again.entries()] == ["latency"]


def test_the_score_plan_holds_every_fault_and_the_decoy_in_the_middle() -> None:
    steps = PLANS["score"].steps
    assert set(steps) == set(FAULTS)
    assert steps[len(steps) // 2] == DECOY
    assert 35 * 60 < PLANS["history"].total_s < 45 * 60
    assert 30 * 60 < PLANS["score"].total_s < 45 * 60


def test_a_plan_breaks_waits_remedies_and_waits() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            seen.append(f"{request.method} {request.url.path}")
        return httpx.Response(200, json={"items": []})

    plan = replace(PLANS["score"], faults=("drift",), warm_up_s=5, fault_s=3, recovery_s=2)
    with httpx.Client(base_url="http://control", transport=httpx.MockTransport(answer)) as client:
        drive(plan, client, sleep=lambda seconds: seen.append(f"wait {seconds:g}"))
    assert seen == [
        "wait 5",
        "POST /faults/drift",
        "wait 3",
        "POST /data/prices/rollback",
        "DELETE /faults/drift",
        "wait 2",
        "POST /faults/decoy_deploy",
        "wait 3",
        "DELETE /faults/decoy_deploy",
        "wait 2",
    ]
    assert plan.total_s == 15


def test_an_unknown_fault_or_an_absent_control_ends_with_advice() -> None:
    with pytest.raises(SystemExit, match="no such fault: flood; there is: latency"):
        main(["--control", "http://127.0.0.1:9", "--faults", "flood"])
    with pytest.raises(SystemExit, match="demo plan"):
        main(["--control", "http://127.0.0.1:9", "--warm-up-s", "0"])
