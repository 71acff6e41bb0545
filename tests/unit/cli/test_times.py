"""Times and numbers that people write: what is none ends a command with a sentence, never with a traceback."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from twofold.cli.main import app
from twofold.cli.times import moment, seconds

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("1.5d", NOW - timedelta(hours=36)),
        ("0m", NOW),
        ("2026-01-30T12:00:00Z", NOW - timedelta(days=1)),
        ("2026-01-30T14:00:00+02:00", NOW - timedelta(days=1)),
    ],
)
def test_a_time_is_how_long_ago_or_rfc_3339(text: str, wanted: datetime) -> None:
    assert moment(text, NOW) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5000000d", "longer than 100 years"),
        ("nand", "neither how long ago nor a time"),
        ("infd", "neither how long ago nor a time"),
        ("-2h", "neither how long ago nor a time"),
        ("1e3d", "neither how long ago nor a time"),
        ("", "neither how long ago nor a time"),
        ("yesterday", "neither how long ago nor a time"),
        ("2026-01-30", "write 2026-01-30T00:00:00Z for UTC"),
        ("2026-01-30 12:30", "write 2026-01-30T12:30:00Z for UTC"),
        ("0001-01-01T00:00:00+14:00", "outside of the calendar"),
    ],
)
def test_what_is_none_is_refused_with_what_to_write(text: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        moment(text, NOW)
    assert ended.value.exit_code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "h", "nanh", "infs", "-1h", "1e9d", "99999999w", "12"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(typer.Exit):
        seconds(text)


@pytest.mark.parametrize(
    "arguments",
    [
        *(["detectors", "backtest", "--since", text] for text in ("5000000d", "nand", "infd", "2020-01-01")),
        ["detectors", "backtest", "--since", "1h", "--until", "2h"],
        ["detectors", "backtest", "--warm-up", "nanh"],
        ["detectors", "compare", "panel", "2", "--until", "infd"],
        ["logs", "search", "x", "--since", "nanh"],
        ["logs", "search", "x", "--until", "2020-01-01T00:00:00"],
        ["import", "loki", "http://127.0.0.1:9", "--query", "{a='b'}", "--since", "infd"],
        ["import", "loki", "http://127.0.0.1:9", "--query", "{a='b'}", "--window", "nanh"],
        *(
            ["detectors", "new", "panel", "--set", f"alerts_per_day={v}"]
            for v in ("NaN", "Infinity", "-Infinity", "1e999")
        ),
        ["detectors", "new", "panel", "--set", "alerts_per_day="],
        ["detectors", "new", "panel", "--set", "alerts_per_day"],
        ["release", "panel", "2", "canary", "--reason", "x", "--weight", "nan"],
        ["demo", "break", "latency", "--seconds", "inf"],
    ],
)
def test_a_number_that_is_none_ends_a_command_with_2(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOFOLD_URL", "http://127.0.0.1:9")
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 2, ended.output
    assert ended.stderr.startswith("twofold: ")
    assert len(ended.stderr.splitlines()) == 1


def test_a_rule_file_that_is_no_text_and_an_address_that_is_none_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rules").write_bytes(b"\xff\xfe\x00")
    for url, command in (
        ("http://127.0.0.1:9", ["detectors", "rules", str(tmp_path / "rules")]),
        ("http://x:port", ["status"]),
    ):
        monkeypatch.setenv("TWOFOLD_URL", url)
        ended = CliRunner().invoke(app, command)
        assert ended.exit_code == 2, ended.output
        assert ended.stderr.startswith("twofold: ")
