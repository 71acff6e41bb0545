"""The one tree of settings, and the only reader of the environment.

Order, later wins: defaults, the YAML file, environment (`TWOFOLD_HTTP__PORT=7171` sets `http.port`), command line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

import yaml

from twofold.aiops.correlate.config import CorrelateConfig
from twofold.aiops.detect.joint.config import JointConfig
from twofold.aiops.forecast.config import ForecastConfig
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.respond.notices import Channel, NoticeConfig
from twofold.aiops.respond.responder import ResponderConfig
from twofold.errors import ConfigError
from twofold.flow.outgoing import OutgoingConfig
from twofold.flow.recorder import RecorderConfig
from twofold.flow.runner import RunnerConfig
from twofold.joints.config import DetectorsConfig
from twofold.records.slo import Slo, distinct
from twofold.store.promql.limits import Limits
from twofold.store.retention import RetentionConfig
from twofold.store.s3 import S3Config

PREFIX: Final = "TWOFOLD_"
_RESERVED: Final = frozenset({"TWOFOLD_DATA", "TWOFOLD_URL", "TWOFOLD_TOKEN", "TWOFOLD_CI", "TWOFOLD_FAILPOINT"})
_HOME: Final = ".twofold"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """Listeners.

    Attributes:
        host: Address to bind. Anything but loopback needs TLS or a declared proxy.
        port: UI, REST API, receivers and inference.
        otlp_port: OTLP/HTTP alone, where SDKs look for it; 0 turns it off.
        otlp_grpc_port: OTLP/gRPC; 0 turns it off.
        hosts: Names, besides localhost and IP addresses, under which browsers reach it.
        tls_certificate, tls_key: PEM files.
        behind_proxy: A proxy in front ends TLS; its requests are trusted to be https.
        telemetry_token: Also on loopback, telemetry and inference need a token.
    """

    host: str = "127.0.0.1"
    port: int = 7070
    otlp_port: int = 4318
    otlp_grpc_port: int = 4317
    hosts: tuple[str, ...] = ()
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    telemetry_token: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RespondConfig:
    """Remedies and notices.

    Attributes:
        inventory: YAML file that declares what may be acted on; without one nothing can.
        runbooks: Folders with runbooks of your own.
        channels: Webhooks that are told of incidents.
    """

    inventory: Path | None = None
    runbooks: tuple[Path, ...] = ()
    channels: tuple[Channel, ...] = ()
    notices: NoticeConfig = field(default_factory=NoticeConfig)
    rules: ResponderConfig = field(default_factory=ResponderConfig)
    outgoing: OutgoingConfig = field(default_factory=OutgoingConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsConfig:
    """Model projects.

    Attributes:
        projects: Folders of which each subfolder with a `twofold.yaml` is a project.
    """

    projects: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsConfig:
    """Log lines.

    Attributes:
        model: Folder of a sentence embedding model (tokenizer.json, model.onnx) that helps to find templates by
            meaning; needs `twofold[embed]`. Nothing is ever downloaded.
    """

    model: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoConfig:
    """The demo's control server, where one runs beside this Twofold.

    Attributes:
        url: Its address; empty without a demo.
        token: Bearer token that it asks for.
    """

    url: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that can be set.

    Attributes:
        home: Folder for all data.
        joint: What is looked for in whole entities and pairs of series.
        slos: Service level objectives; their names differ.
        partitions: Partitions of the journal, each with a thread of stages; entities are spread over them. May grow
            between two starts, and what was learnt moves with its entities; may not shrink. 2, 4 and 8 share the
            load evenly. One is right for most: it costs nothing extra, and sees all spans of a request together.
        without: Stages that are left out, by name (`twofold up` refuses unknown ones); without all of them telemetry
            is stored and nothing else.
        lateness_s: How far the watermark stays behind the newest event time: later spans miss their window.
        retention: How long telemetry is kept.
        storage: Where history and blobs stand; in `home` by default.
        promql: Bounds of one query of the Prometheus API.
        capture: File that every accepted request is also written to.
        source: The file that this was read from, for the worker process.

    Raises:
        ConfigError: Two objectives share a name.
    """

    home: Path
    http: HttpConfig = field(default_factory=HttpConfig)
    ingest: IngestConfig = field(default_factory=IngestConfig)
    recorder: RecorderConfig = field(default_factory=RecorderConfig)
    runner: RunnerConfig = field(default_factory=RunnerConfig)
    joint: JointConfig = field(default_factory=JointConfig)
    correlate: CorrelateConfig = field(default_factory=CorrelateConfig)
    respond: RespondConfig = field(default_factory=RespondConfig)
    models: ModelsConfig = field(default_factory=ModelsConfig)
    detectors: DetectorsConfig = field(default_factory=DetectorsConfig)
    forecast: ForecastConfig = field(default_factory=ForecastConfig)
    logs: LogsConfig = field(default_factory=LogsConfig)
    demo: DemoConfig = field(default_factory=DemoConfig)
    slos: tuple[Slo, ...] = ()
    partitions: int = 1
    without: tuple[str, ...] = ()
    lateness_s: float = 6.0
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    storage: S3Config = field(default_factory=S3Config)
    promql: Limits = field(default_factory=Limits)
    capture: Path | None = None
    source: Path | None = None

    def __post_init__(self) -> None:
        distinct(self.slos)


def load(path: Path | None, overrides: Mapping[str, Any]) -> Config:
    """Read settings: file, then environment, then `overrides` (None values are ignored).

    Raises:
        ConfigError: An unknown setting or a value of the wrong type; the message names the setting.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        _merge(tree, _read(path))
    _merge(tree, _environment(os.environ))
    _merge(tree, {name: value for name, value in overrides.items() if value is not None})
    tree.setdefault("home", Path.home() / _HOME)
    if path is not None:
        tree["source"] = path
    return build(tree)


def build(tree: Mapping[str, Any]) -> Config:
    """Settings from a nested mapping, checked. Raises `ConfigError`."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - the command line's client does not need it

    _refuse_unknown(Config, tree, "")
    try:
        return TypeAdapter(Config).validate_python(dict(tree))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"setting {where} is {first.get('input')!r}: {first['msg']}", setting=where) from error


def client_environment() -> tuple[str, str, list[Path]]:
    """For commands that call a server: its URL and token if the environment names them, and where to look otherwise."""
    home = os.environ.get(f"{PREFIX}HOME")
    here = Path.cwd() / _HOME
    places = [Path(home)] if home else [here, here / "demo" / "twofold", Path.home() / _HOME]
    return os.environ.get("TWOFOLD_URL", ""), os.environ.get("TWOFOLD_TOKEN", ""), places


def failpoint() -> str:
    """For fault tests: where a process ends itself, as `store.failpoints.arm` takes it; empty otherwise."""
    return os.environ.get("TWOFOLD_FAILPOINT", "")


def worker_environment() -> dict[str, str]:
    """The environment for the worker process: this process's own."""
    return dict(os.environ)


def _read(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"settings file {path} cannot be read: {error}") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"settings file {path} must hold a mapping, not {type(loaded).__name__}")
    return loaded


def _environment(environment: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name in _RESERVED:
            continue
        *parents, last = name.removeprefix(PREFIX).lower().split("__")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = yaml.safe_load(value)
    return tree


def _merge(tree: dict[str, Any], other: Mapping[str, Any]) -> None:
    for name, value in other.items():
        if isinstance(value, Mapping) and isinstance(tree.get(name), dict):
            _merge(tree[name], value)
        else:
            tree[name] = dict(value) if isinstance(value, Mapping) else value


def _refuse_unknown(kind: type, tree: Mapping[str, Any], where: str) -> None:
    hints = get_type_hints(kind)
    known = {one.name for one in fields(kind)}
    for name, value in tree.items():
        if name not in known:
            raise ConfigError(f"no setting {where}{name}; known here: {sorted(known)}", setting=f"{where}{name}")
        if is_dataclass(hints[name]) and isinstance(value, Mapping):
            _refuse_unknown(hints[name], value, f"{where}{name}.")
        element = next(iter(get_args(hints[name])), None)
        if isinstance(element, type) and is_dataclass(element) and isinstance(value, list):
            for number, one in enumerate(value):
                if isinstance(one, Mapping):
                    _refuse_unknown(element, one, f"{where}{name}.{number}.")
