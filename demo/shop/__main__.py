"""`python -m demo.shop <service>`: be one process of the shop. Started by the control."""

from __future__ import annotations

import sys
from importlib import import_module

from . import telemetry
from .names import SERVICES
from .runtime import run

__all__ = ["SERVICES", "main"]


def main() -> None:
    """Run the service named by the only argument."""
    name = sys.argv[1] if sys.argv[1:] else ""
    if name not in SERVICES:
        raise SystemExit(f"which service? one of: {', '.join(SERVICES)}")
    module = import_module(f".{name}", __package__)
    run(module.start, getattr(module, "TELEMETRY", telemetry.push))


if __name__ == "__main__":
    main()
