"""What the child process of `test_child` does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twofold.errors import InputError
from twofold.mlops.child import answer


def work(request: Any, folder: Path) -> Any:
    """One act a name."""
    match request["act"]:
        case "environment":
            return dict(os.environ)
        case "raise":
            sys.stdout.write("about to divide\n")
            return 1 // 0
        case "refuse":
            raise InputError("not this")
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "memory":
            return len(bytearray(1 << 30))
        case "spin":
            while True:
                pass
        case "hang":
            child = subprocess.Popen(["sleep", "60"])
            (folder / "grandchild").write_text(str(child.pid))
            time.sleep(60)
    return None


if __name__ == "__main__":
    answer(work)
