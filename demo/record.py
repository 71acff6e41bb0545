"""Records a capture: the shop runs through a plan of faults, and Twofold keeps every request that it accepts."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from twofold.aiops.ingest.capture import Capture, read_capture

from .plan import PLANS, drive
from .stack import ROOT, Stack

NEUTRAL: Final = b"/srv/twofold"


def record(capture: Path, plan: str, data: Path) -> None:
    """Run a plan in real time. The truth goes beside the capture, as `<capture>.json`.

    Stack traces hold paths of the machine: what stands before the packages is replaced in the capture.

    Raises:
        SystemExit: No such plan, or the capture exists already.
    """
    if plan not in PLANS:
        raise SystemExit(f"no plan {plan!r}; there is {', '.join(sorted(PLANS))}")
    if capture.exists():
        raise SystemExit(f"{capture} exists; a capture is never overwritten")
    raw = capture.with_suffix(".raw")
    raw.unlink(missing_ok=True)
    with Stack(data=data.resolve(), fixed_ports=False, capture=raw.resolve()) as stack:
        stack.start_twofold()
        version = stack.train_and_release()
        stack.start_shop()
        with stack.control() as control:
            truth = drive(PLANS[plan], control, tell=lambda text: sys.stderr.write(f"{text}\n"))
    truth |= {"plan": plan, "model_version": version}
    capture.with_suffix(capture.suffix + ".json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    with Capture(capture) as cleaned:
        for request in read_capture(raw):
            kept = replace(request, body=without_paths(request.body))
            cleaned.record(kept.path, kept.media, kept.body, kept.time_ns, kept.lane, kept.headers)
    raw.unlink()


def without_paths(body: bytes, places: tuple[Path, ...] = (Path(sys.prefix), ROOT.parent)) -> bytes:
    """The body with the paths of this checkout and environment made neutral, each of the same length.

    >>> without_paths(b"at /home/me/shop/demo/x.py", (Path("/home/me/shop"),))
    b'at /srv/twofold_/demo/x.py'
    """
    for place in sorted(places, key=lambda one: -len(str(one))):
        path = str(place).encode()
        body = body.replace(path, NEUTRAL[: len(path)].ljust(len(path), b"_"))
    return body
