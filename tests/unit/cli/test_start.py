"""The command starts fast, and says what is wrong in one sentence with a stable exit code."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from twofold import __version__

HELP_CPU_S = 0.5
HEAVY = ("numpy", "pyarrow", "httpx", "duckdb", "deltalake", "dbos", "mlflow", "sklearn", "sqlalchemy", "pydantic")


def run(
    *arguments: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TWOFOLD_")}
    return subprocess.run(
        [sys.executable, "-m", "twofold", *arguments],
        env={**clean, **(environment or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("arguments", [["--help"], ["incidents", "--help"], ["--version"]])
def test_help_takes_less_than_half_a_second_of_cpu(arguments: list[str]) -> None:
    """CPU, not wall clock: the machine may be busy. The best of three, so that cold files do not count."""
    took = []
    for _ in range(3):
        before = _cpu_s()
        assert run(*arguments).returncode == 0
        took.append(_cpu_s() - before)
    assert min(took) < HELP_CPU_S


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, twofold.cli.main; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(HEAVY) & set(loaded) == set()


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"twofold {__version__}\n"


def test_help_names_every_noun() -> None:
    told = run("--help").stdout
    for noun in ("up", "status", "incidents", "models", "train", "release", "runbook", "demo", "backfill"):
        assert noun in told
    assert "worker" not in told, "a part of `up`, not for people"


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["status", "-o", "xml"], ["incidents", "show"], ["up", "--port", "x"]]
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


def test_nobody_listening_ends_with_3(tmp_path: Path) -> None:
    ended = run("status", environment={"TWOFOLD_URL": "http://127.0.0.1:9"}, cwd=tmp_path)
    assert ended.returncode == 3
    assert (
        ended.stderr
        == "twofold: no Twofold answers at http://127.0.0.1:9 (ConnectError); start one with `twofold up`\n"
    )


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("http: {prot: 1}", "no setting http.prot"),
        ("http: {host: 0.0.0.0}", "http.host is 0.0.0.0, which others can reach"),
    ],
)
def test_wrong_settings_stop_the_start_in_one_sentence(tmp_path: Path, settings: str, says: str) -> None:
    path = tmp_path / "twofold.yaml"
    path.write_text(settings)
    ended = run("up", "--data", str(tmp_path / "data"), "--config", str(path))
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"twofold: {says}")
    assert "Traceback" not in ended.stderr


def test_a_folder_in_use_ends_with_6(tmp_path: Path) -> None:
    from twofold.app.stores import lock  # noqa: PLC0415 - only this test needs the stores

    with lock(tmp_path):
        ended = run("up", "--data", str(tmp_path))
    assert ended.returncode == 6
    assert ended.stderr.splitlines()[-1].startswith("twofold: another Twofold runs on ")
