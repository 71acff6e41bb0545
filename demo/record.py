"""Records a capture: the shop runs through a plan of faults, and Twofold keeps every request that it accepts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .plan import PLANS, drive
from .stack import Stack


def record(capture: Path, plan: str, data: Path) -> None:
    """Run a plan in real time. The truth goes beside the capture, as `<capture>.json`.

    Raises:
        SystemExit: No such plan, or the capture exists already.
    """
    if plan not in PLANS:
        raise SystemExit(f"no plan {plan!r}; there is {', '.join(sorted(PLANS))}")
    if capture.exists():
        raise SystemExit(f"{capture} exists; a capture is never overwritten")
    with Stack(data=data.resolve(), fixed_ports=False, capture=capture.resolve()) as stack:
        stack.start_twofold()
        version = stack.train_and_release()
        stack.start_shop()
        with stack.control() as control:
            truth = drive(PLANS[plan], control, tell=lambda text: sys.stderr.write(f"{text}\n"))
    truth |= {"plan": plan, "model_version": version}
    capture.with_suffix(capture.suffix + ".json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
