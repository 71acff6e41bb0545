"""The judging process: loads candidate and live version and runs the gates on the holdout.

`python -m twofold.mlops.gate.child FOLDER`, started by `judge` through `mlops.child`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Final

import pyarrow as pa

from twofold.mlops import columns, formats
from twofold.mlops.child import Json, answer
from twofold.mlops.gate.gates import Judged, gates
from twofold.records.model import Field

CANDIDATE: Final = "candidate.bin"
LIVE: Final = "live.bin"
HOLDOUT: Final = "holdout.arrow"


def work(request: Json, folder: Path) -> Json:
    """Run every gate and give their results as JSON."""
    fields = [Field(**field) for field in request["inputs"]]
    label = str(request["label"])
    with pa.memory_map(str(folder / HOLDOUT)) as source:
        held = pa.ipc.open_file(source).read_all()
    live = str(request["live_format"])
    judged = Judged(
        candidate=formats.load(request["format"], (folder / CANDIDATE).read_bytes()),
        live=formats.load(live, (folder / LIVE).read_bytes()) if live else None,
        fields=fields,
        outputs=[Field(**field) for field in request["outputs"]],
        inputs=columns.matrix(columns.arrays(held, fields), fields),
        truth=columns.arrays(held, [Field(name=label, datatype="FP64")])[label] if label else None,
        metrics=request["metrics"],
    )
    return [asdict(gate.check(judged)) for gate in gates(request["gates"])]


if __name__ == "__main__":
    answer(work)
