"""`twofold demo score`: every fault, unattended, held against the truth.

Live it runs the shop, breaks it, approves the proposed remedy as a second person through the API, and waits for
recovery. Recorded it replays a capture of just that through the same stages.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from .control.faults import FAULTS
from .stack import ROOT, Stack

RECORDED: Final = ROOT / "captures" / "score.capture"
DECOY: Final = "decoy_deploy"
WARM_UP_S: Final = 420.0
FAULT_S: Final = 180.0
QUIET_S: Final = 100.0
DETECT_S: Final = 60.0
_GRACE: Final = timedelta(seconds=45)
_TOP: Final = 3


class Replayer(Protocol):
    """Runs captures through the stages: `run` gives incidents with their diagnoses, as JSON."""

    def run(self, capture: Path) -> list[dict[str, Any]]:
        """Every incident that came out."""
        ...


class Replays(Protocol):
    """Makes a replayer over an empty folder, with these projects trained."""

    def __call__(self, home: Path, projects: Sequence[Path]) -> Replayer:
        """The replayer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fault that was on, and what was accepted as its cause."""

    fault: str
    accepted: tuple[str, ...]
    started: datetime
    ended: datetime


def score_recorded(data: Path, replays: Replays, faults: Sequence[str]) -> dict[str, Any]:
    """Replay the recorded capture.

    Raises:
        SystemExit: No capture was recorded.
    """
    if not RECORDED.exists():
        raise SystemExit(f"{RECORDED} is missing; record it with `twofold demo record {RECORDED} --plan score`")
    shutil.rmtree(data, ignore_errors=True)
    truth = json.loads(RECORDED.with_suffix(RECORDED.suffix + ".json").read_text())
    found = replays(data.resolve(), [ROOT / "model"]).run(RECORDED)
    cases = [_case(item) for item in truth["items"]]
    hours = (_time(truth["ended"]) - _time(truth["started"])).total_seconds() / 3600
    return evaluate(cases, found, hours, {}, faults)


def score_live(data: Path, faults: Sequence[str]) -> dict[str, Any]:
    """Run the shop and break it, one fault after the other."""
    chosen = list(faults) or list(FAULTS)
    recovered: dict[str, bool] = {}
    with Stack(data=data.resolve(), fixed_ports=False) as stack:
        _tell("starting Twofold and the shop")
        stack.start_twofold()
        stack.train_and_release()
        stack.start_shop()
        _, token = stack.new_user("scorer", "approver")
        began = datetime.now(UTC)
        _tell(f"learning what is usual for {WARM_UP_S:.0f} s")
        time.sleep(WARM_UP_S)
        with stack.control() as control, stack.api(token) as approver:
            for name in chosen:
                recovered[name] = _one(name, control, approver)
            items = control.get("/truth").raise_for_status().json()["items"]
        with stack.api() as api:
            found = _incidents(api)
        hours = (datetime.now(UTC) - began).total_seconds() / 3600
    return evaluate([_case(item) for item in items], found, hours, recovered, faults)


def evaluate(
    cases: Sequence[Case],
    found: Sequence[Mapping[str, Any]],
    hours: float,
    recovered: Mapping[str, bool],
    faults: Sequence[str] = (),
) -> dict[str, Any]:
    """Hold incidents against the truth.

    An incident belongs to the fault during which (or right after which) it was detected; of several the first
    counts and the others are told. One that belongs to no fault, or to a decoy, is false. One that an older
    incident took over stands for nothing.

    Returns:
        faults, detected, top1, top3 (counts), median_detect_s, false_incidents_per_hour, recovered (count, None when
        nothing was remedied), and `rows`, one a fault.
    """
    found = [one for one in found if not one["incident"]["merged_into"]]
    real = [case for case in cases if case.accepted and (not faults or case.fault in faults)]
    rows = [_row(case, _during(case, found)) | {"recovered": recovered.get(case.fault)} for case in real]
    belonging = {one["incident"]["id"] for case in cases if case.accepted for one in _during(case, found)}
    false = [one for one in found if one["incident"]["id"] not in belonging]
    times = [row["detect_s"] for row in rows if row["detect_s"] is not None]
    return {
        "faults": len(rows),
        "detected": len(times),
        "top1": sum(row["rank"] == 1 for row in rows),
        "top3": sum(row["rank"] is not None and row["rank"] <= _TOP for row in rows),
        "median_detect_s": round(statistics.median(times), 1) if times else None,
        "false_incidents_per_hour": round(len(false) / hours, 2) if hours else None,
        "recovered": sum(recovered.values()) if recovered else None,
        "rows": rows,
        "false": [{"title": one["incident"]["title"], "detected": one["incident"]["detected"]} for one in false],
    }


def _row(case: Case, incidents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "fault": case.fault,
        "detect_s": None,
        "rank": None,
        "first": "",
        "incidents": len(incidents),
        "title": "",
    }
    if not incidents:
        return row
    first = min(incidents, key=lambda one: _time(one["incident"]["detected"]))
    suspects = [one["entity"] for one in (first["diagnosis"] or {"suspects": []})["suspects"]]
    ranks = [rank for rank, entity in enumerate(suspects, 1) if entity in case.accepted]
    return row | {
        "detect_s": round((_time(first["incident"]["detected"]) - case.started).total_seconds(), 1),
        "rank": min(ranks, default=None),
        "first": suspects[0] if suspects else "",
        "title": first["incident"]["title"],
    }


def _during(case: Case, found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [one for one in found if case.started <= _time(one["incident"]["detected"]) <= case.ended + _GRACE]


def _one(name: str, control: httpx.Client, approver: httpx.Client) -> bool:
    """Break one thing, approve what is proposed, wait until it is over; whether it recovered by the remedy."""
    began = datetime.now(UTC)
    _tell(f"{name}: on")
    control.post(f"/faults/{name}", json={"seconds": FAULT_S}).raise_for_status()
    done = False
    if FAULTS[name].entity:
        deadline = time.monotonic() + FAULT_S
        while time.monotonic() < deadline and not done:
            done = _remedied(approver, began)
            time.sleep(1.0)
    else:
        time.sleep(DETECT_S)
    control.delete(f"/faults/{name}").raise_for_status()
    _tell(f"{name}: {'recovered by its remedy' if done else 'switched off'}; quiet for {QUIET_S:.0f} s")
    time.sleep(QUIET_S)
    return done


def _remedied(approver: httpx.Client, began: datetime) -> bool:
    """Approve a waiting proposal that stood for a while; whether one ended well."""
    found = approver.get("/api/v1/executions", params={"limit": 50}).raise_for_status().json()["items"]
    mine = [one for one in found if _time(one["created"]) >= began]
    settled = datetime.now(UTC) - timedelta(seconds=12)
    for one in mine:
        if one["state"] == "proposed" and _time(one["created"]) <= settled:
            body = {"approval_hash": one["approval_hash"]}
            answer = approver.post(f"/api/v1/executions/{one['id']}/approve", json=body)
            _tell(f"  approved: {one['title']}" if answer.is_success else f"  not approved: {answer.text[:200]}")
    return any(one["state"] == "succeeded" for one in mine)


def _incidents(api: httpx.Client) -> list[dict[str, Any]]:
    items = api.get("/api/v1/incidents", params={"limit": 200}).raise_for_status().json()["items"]
    return [api.get(f"/api/v1/incidents/{item['id']}").raise_for_status().json() for item in items]


def _case(item: Mapping[str, Any]) -> Case:
    ended = item["ended"] or datetime.now(UTC).isoformat()
    return Case(
        fault=item["fault"], accepted=tuple(item["accepted"]), started=_time(item["started"]), ended=_time(ended)
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _tell(text: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
