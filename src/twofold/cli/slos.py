"""`twofold slos`: what was promised, and how much of the error budget is left."""

from __future__ import annotations

from typing import Any

from twofold.cli.client import connect
from twofold.cli.output import Format, Output, show, table


def slos(output: Output = Format.TABLE) -> None:
    """Every objective with its error budget, the least left first."""
    found = connect().get("/api/v1/slos")
    if output is Format.JSON:
        show(found)
        return
    table(
        ("objective", "entity", "good", "budget left", "burns, last 1 h", "6 h", "state", "ends"),
        (
            (
                slo["id"],
                slo["entity"],
                f"{_good(slo)} of {slo['objective']:.4g}",
                f"{slo['budget_left']:.0%}" if slo["total"] else "-",
                _burn(slo["burn_1h"]),
                _burn(slo["burn_6h"]),
                slo["state"] if slo["total"] else "waiting",
                slo["exhausted_at"] or "-",
            )
            for slo in sorted(found["items"], key=lambda slo: slo["budget_left"])
        ),
        empty="No objective is declared; put some under `slos` in the settings file.",
    )


def _good(slo: dict[str, Any]) -> str:
    return f"{1 - slo['bad'] / slo['total']:.4f}" if slo["total"] else "-"


def _burn(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1f} x"
