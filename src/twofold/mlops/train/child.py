"""The training process: runs a project's `load` and `train` and leaves artifact, holdout and profile.

`python -m twofold.mlops.train.child FOLDER`, started by `trainer` through `mlops.child`.
"""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twofold.errors import InputError
from twofold.mlops import columns, formats
from twofold.mlops.child import Json, answer
from twofold.mlops.metrics import judge
from twofold.mlops.train.environment import environment_sha256
from twofold.mlops.train.reference import profile
from twofold.records.model import Field

ARTIFACT: Final = "artifact.bin"
HOLDOUT: Final = "holdout.arrow"
PROFILE: Final = "profile.json"
LEAST_ROWS: Final = 20


def work(request: Json, folder: Path) -> Json:
    """Train once.

    The holdout is cut off before `train` sees the data. The metrics and the profile come from the
    model as it loads from its file, because that is what will serve.
    """
    inputs = [Field(**field) for field in request["inputs"]]
    outputs = [Field(**field) for field in request["outputs"]]
    seed, label = int(request["seed"]), str(request["label"])
    _seed(seed)
    project = _project(Path(request["project"]))
    table = _table(_function(project, "load")(Path(request["data"])))
    known, held = split(table, float(request["holdout"]), seed)
    _seed(seed)
    model = _function(project, "train")(known, seed, dict(request["parameters"]))
    name, artifact = formats.dump(model)
    predictor = formats.load(name, artifact)
    seen = columns.arrays(known, inputs)
    predicted = _predicted(predictor, columns.matrix(seen, inputs), outputs)
    (folder / ARTIFACT).write_bytes(artifact)
    (folder / HOLDOUT).write_bytes(_ipc(held))
    (folder / PROFILE).write_bytes(profile(inputs, seen, outputs, predicted).to_bytes())
    metrics = {"rows_train": float(known.num_rows), "rows_holdout": float(held.num_rows)}
    if label:
        truth = columns.arrays(held, [Field(name=label, datatype="FP64")])[label]
        values = predictor.predict(columns.matrix(columns.arrays(held, inputs), inputs))[:, 0]
        metrics |= judge(truth, values)
    if hasattr(project, "evaluate"):
        metrics |= _own_metrics(project.evaluate(model, held))
    return {"format": name, "metrics": metrics, "environment_sha256": environment_sha256()}


def split(table: pa.Table, share: float, seed: int) -> tuple[pa.Table, pa.Table]:
    """Rows to train on and rows held out, both in their old order; the same seed cuts the same way."""
    count = table.num_rows
    if count < LEAST_ROWS:
        raise InputError(f"load() gave {count} rows, the least is {LEAST_ROWS}", reason="rows")
    held = np.zeros(count, dtype=bool)
    held[np.random.default_rng(seed).permutation(count)[: max(1, round(count * share))]] = True
    return table.filter(pa.array(~held)), table.filter(pa.array(held))


def _seed(seed: int) -> None:
    """Seed the global generators that user code may draw from."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - user code and older libraries draw from the global one


def _project(folder: Path) -> ModuleType:
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location("project", folder / "project.py")
    if spec is None or spec.loader is None:
        raise InputError(f"{folder}/project.py cannot be imported", reason="project")
    module = importlib.util.module_from_spec(spec)
    sys.modules["project"] = module
    spec.loader.exec_module(module)
    return module


def _function(project: ModuleType, name: str) -> Callable[..., Any]:
    found = getattr(project, name, None)
    if not callable(found):
        raise InputError(f"project.py has no function {name}()", reason="project", function=name)
    return found  # type: ignore[no-any-return]  # user code is untyped


def _table(loaded: object) -> pa.Table:
    if isinstance(loaded, pa.Table):
        return loaded.combine_chunks()
    if isinstance(loaded, Mapping):
        return pa.table(dict(loaded))
    raise InputError(f"load() gave a {type(loaded).__name__}; give a pyarrow.Table or a dict of columns", reason="load")


def _predicted(
    predictor: formats.Predictor, inputs: npt.NDArray[Any], outputs: Sequence[Field]
) -> npt.NDArray[np.float64]:
    predicted = predictor.predict(inputs)
    if predicted.shape[1] != len(outputs):
        raise InputError(
            f"the model gives {predicted.shape[1]} outputs, twofold.yaml declares {len(outputs)}", reason="outputs"
        )
    return predicted


def _own_metrics(found: object) -> dict[str, float]:
    if not isinstance(found, Mapping):
        raise InputError(f"evaluate() gave a {type(found).__name__}; give a dict of numbers", reason="evaluate")
    return {str(name): float(value) for name, value in found.items()}


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return bytes(sink.getvalue())


if __name__ == "__main__":
    answer(work)
