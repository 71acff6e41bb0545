"""The tracking process: the only place that imports MLflow.

`python -m twofold.mlops.registry.child FOLDER`, started by `tracking` through `mlops.child`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from twofold.mlops.child import Json, answer


def work(request: Json, folder: Path) -> Json:
    """Copy one run with its version, or set a model's aliases."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # no usage reports from a user's machine
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 - read after the switch above

    client = MlflowClient(tracking_uri=request["uri"], registry_uri=request["uri"])
    if request["act"] == "log":
        return _log(client, request, folder)
    return _point(client, request)


def _log(client: Any, request: Json, folder: Path) -> str:
    from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 - MLflow loads here only
    from mlflow.utils.time import get_current_time_millis  # noqa: PLC0415 - the same

    experiment = _experiment(client, request)
    known = client.search_runs([experiment], f"tags.`twofold.run` = '{request['run']}'", max_results=1)
    if known:
        return str(known[0].info.run_id)
    made = client.create_run(experiment, run_name=request["run"])
    run_id, now = made.info.run_id, get_current_time_millis()
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, now, 0) for name, value in request["metrics"].items()],
        params=[Param(name, value) for name, value in request["parameters"].items()],
    )
    named = folder / f"model.{request['format']}"
    shutil.copyfile(folder / "artifact.bin", named)
    client.log_artifact(run_id, str(named))
    if not client.search_registered_models(f"name='{request['model']}'"):
        client.create_registered_model(request["model"])
    source = f"{made.info.artifact_uri}/{named.name}"
    tags = {"twofold.version": request["version"]}
    client.create_model_version(request["model"], source=source, run_id=run_id, tags=tags)
    client.log_batch(
        run_id, tags=[RunTag(name, value) for name, value in request["tags"].items()]
    )  # last: marks it whole
    client.set_terminated(run_id)
    return str(run_id)


def _experiment(client: Any, request: Json) -> str:
    found = client.get_experiment_by_name(request["project"])
    if found is not None:
        return str(found.experiment_id)
    local = str(request["uri"]).startswith("sqlite:")
    location = (Path(request["artifacts"]) / request["project"]).as_uri() if local else None
    return str(client.create_experiment(request["project"], artifact_location=location))


def _point(client: Any, request: Json) -> bool:
    model, wanted = request["model"], request["aliases"]
    found = client.search_registered_models(f"name='{model}'")
    if not found:
        return False
    numbers = {one.tags.get("twofold.version"): one.version for one in client.search_model_versions(f"name='{model}'")}
    for alias in set(found[0].aliases or {}) - set(wanted):
        client.delete_registered_model_alias(model, alias)
    for alias, version in wanted.items():
        if version in numbers:
            client.set_registered_model_alias(model, alias, numbers[version])
    return all(version in numbers for version in wanted.values())


if __name__ == "__main__":
    answer(work)
