"""What counts as found when faults are held against incidents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from demo.score import Case, evaluate

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def a_case(fault: str, minute: int, *accepted: str) -> Case:
    started = BEGAN + timedelta(minutes=minute)
    return Case(fault=fault, accepted=accepted, started=started, ended=started + timedelta(minutes=3))


def found(minute: float, *suspects: str, merged_into: str = "") -> dict[str, Any]:
    incident = {
        "id": f"{minute}",
        "title": f"at {minute}",
        "detected": (BEGAN + timedelta(minutes=minute)).isoformat(),
        "merged_into": merged_into,
    }
    return {"incident": incident, "diagnosis": {"suspects": [{"entity": each} for each in suspects]}}


CASES = [a_case("slow", 10, "service:payment"), a_case("decoy", 20), a_case("leak", 30, "service:cart")]


def test_the_first_incident_of_a_fault_counts_and_its_rank_is_that_of_an_accepted_cause() -> None:
    score = evaluate(CASES, [found(11, "service:gateway", "service:payment"), found(12, "service:payment")], 1.0, {})
    assert [(row["fault"], row["detect_s"], row["rank"], row["incidents"]) for row in score["rows"]] == [
        ("slow", 60.0, 2, 2),
        ("leak", None, None, 0),
    ]
    assert (score["faults"], score["detected"], score["top1"], score["top3"]) == (2, 1, 0, 1)
    assert score["false_incidents_per_hour"] == 0


def test_an_incident_of_a_decoy_or_of_no_fault_is_false() -> None:
    score = evaluate(CASES, [found(5), found(21), found(31, "service:cart")], 2.0, {})
    assert [each["title"] for each in score["false"]] == ["at 5", "at 21"]
    assert score["false_incidents_per_hour"] == 1.0


def test_an_incident_that_another_took_over_is_neither_found_nor_false() -> None:
    score = evaluate(CASES, [found(5, merged_into="x"), found(11, "service:payment", merged_into="x")], 1.0, {})
    assert score["detected"] == 0
    assert score["false"] == []
