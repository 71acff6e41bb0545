"""A durable workflow of many steps, each with an effect outside, worked on by processes that end at a failpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from twofold.flow.workflow import Context, Json, StepInterrupted
from twofold.flow.workflow.dbos import DbosWorkflows, WorkflowConfig
from twofold.store.failpoints import arm

STEPS: Final = 20
"""Every second one may be repeated."""


def work(folder: str, failpoint: str) -> None:
    """Work on the one workflow of a folder until a failpoint ends the process, or it is done: then keep its result."""
    root = Path(folder)
    arm(failpoint)
    engine = DbosWorkflows(WorkflowConfig(url=f"sqlite:///{root}/workflows.sqlite", threads=2), lease=root / "lease")

    def effect(name: str) -> str:
        with (root / "effects").open("a") as file:
            file.write(f"{name}\n")
            file.flush()
            os.fsync(file.fileno())
        return name

    def many(context: Context, _: Mapping[str, Json]) -> Json:
        interrupted = []
        for number in range(STEPS):
            name = f"step-{number}"
            try:
                context.step(name, lambda name=name: effect(name), idempotent=number % 2 == 0)  # type: ignore[misc]  # a default binds the name
            except StepInterrupted:
                interrupted.append(name)
        return interrupted

    engine.register("many", many)
    engine.launch()
    engine.start("many", "one", {})
    result = engine.result("one", 50)
    (root / "result").write_text(json.dumps(result))
    engine.close()
