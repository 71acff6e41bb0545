"""Promise P3: a step that is not idempotent never silently runs twice, whatever kills the process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHILD = """
import json, os, sys, time
from pathlib import Path
from twofold.flow.workflow import StepInterrupted
from twofold.flow.workflow.dbos import DbosWorkflows, WorkflowConfig

root = Path(sys.argv[1])

def effect(name):
    with (root / "effects").open("a") as file:
        file.write(name + "\\n"); file.flush(); os.fsync(file.fileno())
    return name

def slow(name):
    effect(name + ":begin"); time.sleep(float(sys.argv[2])); return effect(name + ":end")

def workflow(context, arguments):
    context.step("first", lambda: effect("first"), idempotent=False)
    try:
        context.step("second", lambda: slow("second"), idempotent=arguments["idempotent"])
        second = "done"
    except StepInterrupted as outcome:
        second = str(outcome)
    answer = context.receive("approve", 30)
    context.step("third", lambda: effect("third"), idempotent=False)
    return {"second": second, "answer": answer}

engine = DbosWorkflows(WorkflowConfig(url=f"sqlite:///{root}/workflows.sqlite"), lease=root / "lease")
engine.register("demo", workflow)
engine.launch()
engine.start("demo", "one", {"idempotent": sys.argv[3] == "yes"})
if sys.argv[4] == "send":
    engine.send("one", "approve", {"by": "ann"})
    print(json.dumps(engine.result("one", 30)), flush=True)
else:
    time.sleep(60)
engine.close()
"""


def _start(root: Path, *, sleep_s: float, idempotent: str, mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(root), str(sleep_s), idempotent, mode], stdout=subprocess.PIPE, text=True
    )


def _wait_for(root: Path, effect: str, child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and child.poll() is None:
        if (root / "effects").exists() and effect in (root / "effects").read_text().split():
            return
        time.sleep(0.02)
    child.kill()
    raise AssertionError(f"{effect} never happened; the child ended with {child.wait()}")


@pytest.mark.parametrize("idempotent", ["yes", "no"])
def test_a_killed_step_runs_again_only_when_it_is_idempotent(tmp_path: Path, idempotent: str) -> None:
    """SIGKILL in the middle of the second step, then SIGKILL while waiting for the approval, then finish."""
    for _ in range(2):
        with _start(tmp_path, sleep_s=2, idempotent=idempotent, mode="wait") as child:
            _wait_for(tmp_path, "second:begin", child)
            time.sleep(0.3)
            os.kill(child.pid, signal.SIGKILL)
    with _start(tmp_path, sleep_s=0.1, idempotent=idempotent, mode="send") as child:
        output, _ = child.communicate(timeout=90)
    result = json.loads(output.strip().splitlines()[-1])
    effects = (tmp_path / "effects").read_text().split()
    assert effects.count("first") == 1
    assert effects.count("third") == 1
    assert result["answer"] == {"by": "ann"}
    if idempotent == "yes":
        assert result["second"] == "done"
        assert effects.count("second:end") == 1
    else:
        assert "died" in result["second"]
        assert effects.count("second:begin") == 1
