"""`twofold demo run`: Twofold and the shop, with a past, until Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from .stack import ROOT, Stack

HISTORY: Final = ROOT / "captures" / "history.capture"
Past = Callable[[str, str, Path], None]
"""(URL, token, capture) -> None: sends a capture through the backfill lane."""


def run(data: Path, *, past: Past | None) -> None:
    """Start everything, print one URL, wait. The folder is made anew.

    Args:
        data: For Twofold and the shop.
        past: Sends the recorded history first, so that the first page has one; None to start without.
    """
    out = Console()
    began = time.monotonic()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Stack(data=data.resolve()) as stack:
        with out.status("starting Twofold"):
            stack.start_twofold()
        with out.status("training the shop's model, through its gates to live"):
            version = stack.train_and_release()
        out.print(f"model recommender {version} is live")
        if past is not None and HISTORY.exists():
            out.print("sending 40 recorded minutes through the same pipeline")
            past(stack.url, stack.token, HISTORY)
        with out.status("starting the shop"):
            stack.start_shop()
        secret, _ = stack.new_user("robin", "approver")
        out.print(f"\nReady after {time.monotonic() - began:.0f} s: open [bold]{stack.url}[/bold]")
        out.print(f"  log in as [bold]admin[/bold] with {stack.secret}")
        out.print(f"  a second person, who may approve: [bold]robin[/bold] with {secret}")
        out.print("  break something on the page Demo, or with: .venv/bin/twofold demo break bad_deploy")
        out.print("Ctrl-C ends it.")
        stop.wait()
        out.print("stopping")
