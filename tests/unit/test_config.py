"""Settings come from defaults, file, environment and command line, in this order, and a wrong one is named."""

from __future__ import annotations

import os
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from twofold.config import Config, build, client_environment, failpoint, load
from twofold.errors import ConfigError


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TWOFOLD_")]:
        monkeypatch.delenv(name)


def _file(folder: Path, text: str) -> Path:
    path = folder / "twofold.yaml"
    path.write_text(text)
    return path


def test_everything_has_a_default() -> None:
    config = load(None, {})
    assert (config.http.host, config.http.port, config.http.otlp_port) == ("127.0.0.1", 7070, 4318)
    assert config.home == Path.home() / ".twofold"
    assert config.source is None


def test_later_sources_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(tmp_path, "http: {port: 1, otlp_port: 2, host: '::1'}\nlateness_s: 9")
    monkeypatch.setenv("TWOFOLD_HTTP__OTLP_PORT", "20")
    monkeypatch.setenv("TWOFOLD_HTTP__HOST", "127.0.0.2")
    config = load(path, {"home": tmp_path, "http": {"host": "localhost"}, "capture": None})
    assert (config.http.port, config.http.otlp_port, config.http.host) == (1, 20, "localhost")
    assert (config.lateness_s, config.home, config.source) == (9.0, tmp_path, path)


def test_the_environment_takes_lists_and_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOFOLD_MODELS__PROJECTS", "[/a, /b]")
    monkeypatch.setenv("TWOFOLD_HTTP__TELEMETRY_TOKEN", "true")
    config = load(None, {})
    assert config.models.projects == (Path("/a"), Path("/b"))
    assert config.http.telemetry_token is True


def test_variables_of_the_client_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOFOLD_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TWOFOLD_TOKEN", "t")
    monkeypatch.setenv("TWOFOLD_DATA", "/data")
    assert load(None, {}).http.port == 7070
    url, token, _ = client_environment()
    assert (url, token) == ("http://127.0.0.1:9", "t")


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("htpp: {port: 1}", "htpp"),
        ("http: {prot: 1}", "http.prot"),
        ("respond: {rules: {settle: 3}}", "respond.rules.settle"),
        ("respond: {channels: [{name: chat, url: u, haeders: {}}]}", "respond.channels.0.haeders"),
    ],
)
def test_an_unknown_setting_is_named_with_what_is_known(tmp_path: Path, text: str, setting: str) -> None:
    with pytest.raises(ConfigError, match=f"no setting {setting}; known here") as found:
        load(_file(tmp_path, text), {})
    assert found.value.facts["setting"] == setting


def test_an_unknown_setting_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOFOLD_HTTP__PROT", "7171")
    with pytest.raises(ConfigError, match=r"no setting http\.prot"):
        load(None, {})


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("http: {port: many}", "http.port"),
        ("lateness_s: soon", "lateness_s"),
        ("http: 7", "http"),
        ("http:", "http"),
        ("models: {projects: [3]}", "models.projects.0"),
        ("respond: {channels: [{name: chat}]}", "respond.channels.0.url"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(tmp_path: Path, text: str, setting: str) -> None:
    with pytest.raises(ConfigError, match=f"setting {setting} is") as found:
        load(_file(tmp_path, text), {})
    assert found.value.facts["setting"] == setting


@pytest.mark.parametrize("text", ["- a\n- b", "7", "a: [", "\x00"])
def test_a_file_that_holds_no_settings_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"twofold\.yaml"):
        load(_file(tmp_path, text), {})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml cannot be read"):
        load(tmp_path / "absent.yaml", {})


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load(_file(tmp_path, ""), {}).http == load(None, {}).http


def test_what_a_component_refuses_stops_the_start(tmp_path: Path) -> None:
    """A component's own check speaks through the same error."""
    with pytest.raises(ConfigError):
        build({"home": tmp_path, "partitions": "two"})


def test_every_setting_says_what_it_is() -> None:
    """One line a field, so that documentation and help have something to say."""
    silent = [
        f"{kind.__name__}.{field.name}"
        for kind in _tree(Config)
        for field in fields(kind)
        if not is_dataclass(get_type_hints(kind)[field.name]) and field.name not in (kind.__doc__ or "")
    ]
    assert silent == []


def _tree(kind: type[Any]) -> list[type[Any]]:
    found = [kind]
    for hint in get_type_hints(kind).values():
        if isinstance(hint, type) and is_dataclass(hint):
            found += _tree(hint)
    return found


def test_a_failpoint_is_named_by_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failpoint() == ""
    monkeypatch.setenv("TWOFOLD_FAILPOINT", "journal.append:3")
    assert failpoint() == "journal.append:3"
    load(None, {})
    with pytest.raises(ConfigError, match="failpoint"):
        load(None, {"failpoint": "journal.append:3"})


def test_two_objectives_of_one_name_stop_the_start(tmp_path: Path) -> None:
    slo = {"name": "orders", "entity": "service:checkout"}
    with pytest.raises(ConfigError, match="more than once stands: orders"):
        build({"home": tmp_path, "slos": [slo, slo]})


def test_a_window_of_a_thousand_years_is_refused_with_its_limit(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"between 3600 .* and 31622400"):
        build({"home": tmp_path, "slos": [{"name": "o", "entity": "service:a", "window_s": 3.2e10}]})
