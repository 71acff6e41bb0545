"""Gates on a trained candidate, run in a process of their own: models are loaded there, not here."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twofold.errors import InputError
from twofold.mlops.child import ChildFailed, Limits, run
from twofold.mlops.gate.child import CANDIDATE, HOLDOUT, LIVE
from twofold.mlops.gate.gates import gates
from twofold.records.model import Candidate, GateResult, ModelVersion
from twofold.store.blobs import Blobs


def judge(
    declared: Sequence[Mapping[str, Any]],
    candidate: Candidate,
    blobs: Blobs,
    *,
    live: ModelVersion | None = None,
    limits: Limits | None = None,
) -> list[GateResult]:
    """Results of every declared gate, in order.

    A live version with other inputs cannot be compared on the same rows, and counts as none. If the
    judging process dies or refuses, there is one failed result that says so: an unjudged version has not passed.

    Raises:
        ConfigError: A gate is declared wrongly.
    """
    gates(declared)
    names = [one.name for one in candidate.inputs]
    rival = live if live is not None and [one.name for one in live.inputs] == names else None
    request = {
        "format": candidate.format,
        "live_format": rival.format if rival else "",
        "inputs": [{"name": one.name, "datatype": one.datatype} for one in candidate.inputs],
        "outputs": [{"name": one.name, "datatype": one.datatype} for one in candidate.outputs],
        "label": candidate.label,
        "metrics": dict(candidate.metrics),
        "gates": [dict(entry) for entry in declared],
    }
    with tempfile.TemporaryDirectory(prefix="twofold-gate-") as name:
        folder = Path(name)
        (folder / CANDIDATE).write_bytes(blobs.get(candidate.artifact))
        (folder / HOLDOUT).write_bytes(blobs.get(candidate.holdout))
        if rival:
            (folder / LIVE).write_bytes(blobs.get(rival.artifact))
        try:
            found = run("twofold.mlops.gate.child", request, folder=folder, limits=limits)
        except (ChildFailed, InputError) as error:
            return [GateResult(name="judged", passed=False, value=0.0, limit=1.0, text=error.message)]
    return [GateResult(**entry) for entry in found]
