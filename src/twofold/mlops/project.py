"""A user's model project as it stands on disk: a folder with `project.py` and `twofold.yaml`.

`project.py` holds two plain functions, and may hold a third:

    load(data_dir: Path) -> pyarrow.Table
    train(table: pyarrow.Table, seed: int, parameters: dict) -> model
    evaluate(model, table: pyarrow.Table) -> dict[str, float]        (optional)

`twofold.yaml` declares everything else. This module reads it and knows no stage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from twofold.errors import ConfigError
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.model import Field, ModelKind, Project, ReleaseStage

FILE: Final = "twofold.yaml"
CODE: Final = "project.py"
RISKS: Final = ("minimal", "limited", "high")
NUMBERS: Final = ("FP64", "FP32", "INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8", "BOOL")
DATATYPES: Final = (*NUMBERS, "BYTES")
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_KEYS: Final = frozenset(
    {"name", "title", "owner", "risk", "model", "dataset", "label", "seed", "parameters"}
    | {"inputs", "outputs", "holdout", "gates", "rollout", "monitors"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where training data comes from: files below `path`, or a query over one pinned history table."""

    name: str
    path: Path | None = None
    table: str = ""
    query: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStep:
    """One step on the way to live.

    Attributes:
        weight: Share of traffic, of a canary.
        requests: How many it must have answered before it is judged; 0 for the default.
    """

    stage: ReleaseStage
    weight: float
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitors:
    """Bounds past which a canary is taken back; live versions are watched by the detectors.

    Attributes:
        output_psi: Drift of an output against the training data.
        error_ratio: Failed requests above live's own share.
        latency_ratio: p95 against live's.
    """

    output_psi: float = 0.25
    error_ratio: float = 0.01
    latency_ratio: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What `twofold.yaml` declares.

    Attributes:
        folder: Where the project stands.
        label: Column of the data that holds the truth; empty where metrics come from `evaluate`.
        holdout: Share of rows that training never sees and gates judge on.
        gates: Gate declarations, each with its `gate` word; the gate stage reads them.
    """

    name: str
    title: str
    owner: str
    risk: str
    model: str
    folder: Path
    dataset: Source
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    label: str = ""
    seed: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    holdout: float = 0.25
    gates: tuple[Mapping[str, Any], ...] = ()
    rollout: tuple[RolloutStep, ...] = ()
    monitors: Monitors = field(default_factory=Monitors)

    def record(self, tenant: str = DEFAULT_TENANT) -> Project:
        """The project as the ledger keeps it."""
        return Project(
            id=self.name,
            title=self.title,
            owner=self.owner,
            risk=self.risk,
            model=self.model,
            path=str(self.folder),
            kind=ModelKind.SERVED,
            tenant=tenant,
        )

    def files(self) -> Iterator[Path]:
        """The project's source files, sorted: all but its data, hidden files and byte code."""
        data = self.dataset.path
        for path in sorted(self.folder.rglob("*")):
            relative = path.relative_to(self.folder)
            hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
            if path.is_file() and not hidden and (data is None or not path.is_relative_to(data)):
                yield path


def read(folder: Path) -> Definition:
    """Read the project in a folder.

    Raises:
        ConfigError: A file is missing or a value is wrong; names the file, the key and the value.
    """
    folder = folder.resolve()
    path = folder / FILE
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{folder} is no project: it has no {FILE}", folder=str(folder)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}", file=str(path)) from error
    if not (folder / CODE).is_file():
        raise ConfigError(f"{folder} has no {CODE} with load() and train()", folder=str(folder))
    return _Reader(path, loaded).definition(folder)


def discover(root: Path) -> tuple[list[Definition], list[ConfigError]]:
    """All projects directly below a folder, and what is wrong with those that cannot be read."""
    found: list[Definition] = []
    wrong: list[ConfigError] = []
    for path in sorted(root.glob(f"*/{FILE}")):
        try:
            found.append(read(path.parent))
        except ConfigError as error:
            wrong.append(error)
    return found, wrong


class _Reader:
    """Checks values one by one, so that an error names its key."""

    def __init__(self, path: Path, loaded: object) -> None:
        self._path = path
        if not isinstance(loaded, dict):
            raise ConfigError(f"{path} must hold keys and values, not {type(loaded).__name__}", file=str(path))
        self._loaded: dict[str, Any] = loaded
        if unknown := sorted(set(loaded) - _KEYS):
            raise self._wrong(unknown[0], "is no known key", f"known are {', '.join(sorted(_KEYS))}")

    def definition(self, folder: Path) -> Definition:
        name = self._name("name")
        return Definition(
            name=name,
            title=self._text("title", name),
            owner=self._text("owner"),
            risk=self._one_of("risk", RISKS, "limited"),
            model=self._name("model", name),
            folder=folder,
            dataset=self._source(folder),
            inputs=self._fields("inputs"),
            outputs=self._fields("outputs"),
            label=self._text("label", ""),
            seed=self._seed(),
            parameters=self._mapping("parameters"),
            holdout=self._share("holdout", 0.25),
            gates=self._gates(),
            rollout=tuple(self._step(entry) for entry in self._list("rollout")),
            monitors=self._monitors(),
        )

    def _wrong(self, key: str, what: str, allowed: str) -> ConfigError:
        value = self._loaded.get(key)
        return ConfigError(f"{self._path}: {key} {what} ({value!r}); {allowed}", file=str(self._path), key=key)

    def _text(self, key: str, default: str | None = None) -> str:
        value = self._loaded.get(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, "is missing or no text", "give one")
        return value

    def _name(self, key: str, default: str | None = None) -> str:
        value = self._text(key, default)
        if not _NAME.fullmatch(value):
            raise self._wrong(key, "is no name", "use a-z, 0-9, - and _, at most 63, a letter first")
        return value

    def _one_of(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        value = self._text(key, default)
        if value not in allowed:
            raise self._wrong(key, "is unknown", f"known are {', '.join(allowed)}")
        return value

    def _mapping(self, key: str) -> dict[str, Any]:
        value = self._loaded.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            raise self._wrong(key, "is no mapping", "give keys and values")
        return value

    def _list(self, key: str) -> list[dict[str, Any]]:
        value = self._loaded.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise self._wrong(key, "is no list of mappings", "give a list")
        return value

    def _seed(self) -> int:
        value = self._loaded.get("seed", 0)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**32:
            raise self._wrong("seed", "is no seed", "use a whole number from 0 to 2^32-1")
        return value

    def _share(self, key: str, default: float) -> float:
        value = self._loaded.get(key, default)
        if not isinstance(value, int | float) or not 0 < value < 1:
            raise self._wrong(key, "is no share", "use a number between 0 and 1")
        return float(value)

    def _source(self, folder: Path) -> Source:
        value = self._mapping("dataset")
        name = value.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise self._wrong("dataset", "has no name", "use a-z, 0-9, - and _, a letter first")
        if isinstance(path := value.get("path"), str):
            where = (folder / path).resolve()
            if not where.exists() or where == folder:
                raise self._wrong("dataset", f"points at {where}", "give an existing file or folder of data only")
            return Source(name=name, path=where)
        if isinstance(value.get("table"), str) and isinstance(value.get("query"), str):
            return Source(name=name, table=value["table"], query=value["query"])
        raise self._wrong("dataset", "has no source", "give `path`, or `table` and `query`")

    def _fields(self, key: str) -> tuple[Field, ...]:
        made = []
        for entry in self._list(key):
            name, datatype = entry.get("name"), entry.get("datatype", "FP64")
            if not isinstance(name, str) or not name or datatype not in DATATYPES:
                raise self._wrong(
                    key, f"has a bad entry {entry!r}", f"give name and datatype of {', '.join(DATATYPES)}"
                )
            made.append(Field(name=name, datatype=datatype))
        if not made or len({one.name for one in made}) != len(made):
            raise self._wrong(key, "is empty or names a field twice", "give at least one field, each name once")
        return tuple(made)

    def _gates(self) -> tuple[Mapping[str, Any], ...]:
        entries = self._list("gates")
        for entry in entries:
            if not isinstance(entry.get("gate"), str):
                raise self._wrong("gates", f"has an entry without `gate`: {entry!r}", "say which gate")
        return tuple(entries)

    def _monitors(self) -> Monitors:
        entries = self._mapping("monitors")
        known = Monitors.__slots__
        for name, value in entries.items():
            if name not in known or not isinstance(value, int | float) or value <= 0:
                raise self._wrong("monitors", f"has a bad entry {name}", f"give numbers above 0 for {', '.join(known)}")
        return Monitors(**{name: float(value) for name, value in entries.items()})

    def _step(self, entry: dict[str, Any]) -> RolloutStep:
        known = {stage.value: stage for stage in (ReleaseStage.SHADOW, ReleaseStage.CANARY, ReleaseStage.LIVE)}
        stage, weight, requests = entry.get("stage"), entry.get("weight", 0.0), entry.get("requests", 0)
        if (
            stage not in known
            or not isinstance(weight, int | float)
            or not 0 <= weight < 1
            or not isinstance(requests, int)
        ):
            raise self._wrong(
                "rollout", f"has a bad step {entry!r}", f"give stage of {', '.join(known)}, weight below 1, requests"
            )
        return RolloutStep(stage=known[stage], weight=float(weight), requests=requests)
