"""`python -m demo.plan`: drive the control through a schedule of faults, and write what really happened.

For recorded captures, and to measure how well Twofold finds the causes. Each fault is on for a
while, then its own remedy is applied and the shop recovers; an innocent deploy stands in the middle.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from .control.faults import FAULTS
from .control.truth import now_text

DECOY = "decoy_deploy"
_MARGIN_S = 60.0
_TIMEOUT_S = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A schedule.

    Attributes:
        faults: In order; the decoy is put into their middle.
        warm_up_s: Quiet time before the first.
        fault_s: How long each is on.
        recovery_s: Quiet time after each.
    """

    faults: tuple[str, ...]
    warm_up_s: float
    fault_s: float
    recovery_s: float

    @property
    def steps(self) -> tuple[str, ...]:
        """All faults in order, with the decoy.

        >>> PLANS["history"].steps
        ('latency', 'bad_deploy', 'decoy_deploy', 'drift')
        """
        middle = (len(self.faults) + 1) // 2
        return (*self.faults[:middle], DECOY, *self.faults[middle:])

    @property
    def total_s(self) -> float:
        """How long it takes."""
        return self.warm_up_s + len(self.steps) * (self.fault_s + self.recovery_s)


PLANS = {
    "history": Plan(faults=("latency", "bad_deploy", "drift"), warm_up_s=480, fault_s=90, recovery_s=400),
    "score": Plan(faults=tuple(name for name in FAULTS if name != DECOY), warm_up_s=480, fault_s=90, recovery_s=120),
}


def drive(
    plan: Plan,
    control: httpx.Client,
    *,
    sleep: Callable[[float], None] = time.sleep,
    tell: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Run the plan to its end.

    Args:
        plan: The schedule.
        control: Client of the control, with its token.
        sleep: Waits; real time by default.
        tell: Hears of each step.

    Returns:
        `started`, `ended`, and `items`: the control's truth of each step, in order.

    Raises:
        httpx.HTTPError: The control refuses or is gone.
    """
    started = now_text()
    before = len(_ask(control, "GET", "/truth")["items"])
    tell(f"warm-up, {plan.warm_up_s:g} s; all told {plan.total_s / 60:.1f} minutes")
    sleep(plan.warm_up_s)
    for name in plan.steps:
        tell(f"{name}, {plan.fault_s:g} s")
        _ask(control, "POST", f"/faults/{name}", {"seconds": plan.fault_s + _MARGIN_S})
        sleep(plan.fault_s)
        remedies = FAULTS[name].remedies
        if remedies:
            _ask(control, "POST", remedies[0])
        _ask(control, "DELETE", f"/faults/{name}")  # whatever the remedy left
        tell(f"recovery, {plan.recovery_s:g} s")
        sleep(plan.recovery_s)
    items = _ask(control, "GET", "/truth")["items"][before:]
    return {"started": started, "ended": now_text(), "items": items}


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the arguments, drive, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m demo.plan", description=__doc__)
    parser.add_argument("--control", required=True, help="URL of the control; its token comes from DEMO_TOKEN")
    parser.add_argument("--plan", choices=sorted(PLANS), default="score")
    parser.add_argument("--faults", default="", help="comma-separated, instead of the plan's")
    parser.add_argument("--warm-up-s", type=float, help="quiet time before the first fault")
    parser.add_argument("--fault-s", type=float, help="how long each fault is on")
    parser.add_argument("--recovery-s", type=float, help="quiet time after each fault")
    parser.add_argument("--out", type=Path, help="file for the truth; standard output when missing")
    given = parser.parse_args(arguments)
    token = os.environ.get("DEMO_TOKEN", "")
    try:
        plan = _chosen(given)
        with httpx.Client(
            base_url=given.control, headers={"authorization": f"Bearer {token}"}, timeout=_TIMEOUT_S, trust_env=False
        ) as client:
            result = drive(plan, client, tell=_tell)
    except (ValueError, httpx.HTTPError) as error:
        raise SystemExit(f"demo plan: {error}") from error
    text = json.dumps({"plan": given.plan, **result}, indent=1) + "\n"
    if given.out:
        given.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def _chosen(given: argparse.Namespace) -> Plan:
    plan = PLANS[given.plan]
    faults = tuple(given.faults.split(",")) if given.faults else plan.faults
    if unknown := [name for name in faults if name not in FAULTS or name == DECOY]:
        raise ValueError(f"no such fault: {', '.join(unknown)}; there is: {', '.join(PLANS['score'].faults)}")
    return Plan(
        faults=faults,
        warm_up_s=plan.warm_up_s if given.warm_up_s is None else given.warm_up_s,
        fault_s=plan.fault_s if given.fault_s is None else given.fault_s,
        recovery_s=plan.recovery_s if given.recovery_s is None else given.recovery_s,
    )


def _ask(control: httpx.Client, method: str, path: str, body: Any = None) -> Any:
    answer = control.request(method, path, json=body)
    answer.raise_for_status()
    return answer.json()


def _tell(text: str) -> None:
    sys.stderr.write(f"{now_text()} {text}\n")


if __name__ == "__main__":
    main()
