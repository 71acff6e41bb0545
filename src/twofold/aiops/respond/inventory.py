"""What may be acted on: a declared list of operations by entity. A step can touch nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from twofold.errors import ConfigError, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """How one thing is done to one entity: a call to a declared URL, or a program with fixed arguments.

    Attributes:
        url, method, headers, body: The call. `${entity_name}` and other arguments are not filled in here: what is
            declared is what is sent.
        argv: The program and its arguments; never a shell string.
        check_url: A read-only GET that answers 2xx with JSON `{"done": true|false}`: did it take effect?
    """

    url: str = ""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    argv: tuple[str, ...] = ()
    check_url: str = ""


class Inventory:
    """Operations by entity pattern and name.

    Args:
        operations: Entity id or glob (`feature:recommender/*`) to operation name to operation.
    """

    def __init__(self, operations: Mapping[str, Mapping[str, Operation]]) -> None:
        self._operations = operations

    def find(self, entity: str, operation: str) -> Operation:
        """The operation declared for an entity; an exact id wins over a glob. Raises `NotFound`."""
        exact = self._operations.get(entity, {}).get(operation)
        if exact is not None:
            return exact
        for pattern, named in self._operations.items():
            if operation in named and fnmatchcase(entity, pattern):
                return named[operation]
        raise NotFound(f"the inventory declares no {operation!r} for {entity}", entity=entity, operation=operation)

    def offers(self, entity: str, operation: str) -> bool:
        """Whether an operation is declared for an entity."""
        try:
            self.find(entity, operation)
        except NotFound:
            return False
        return True

    def urls(self) -> Iterable[str]:
        """Every declared URL: the origins that the outgoing client may trust."""
        for named in self._operations.values():
            for operation in named.values():
                yield from (url for url in (operation.url, operation.check_url) if url)


def load_inventory(path: Path) -> Inventory:
    """Read an inventory from YAML: `targets: {<entity or glob>: {<operation>: {url|argv …}}}`.

    Raises:
        ConfigError: The file is not of this form; the message names the place.
    """
    try:
        document = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"inventory {path} cannot be read: {error}") from error
    targets = document.get("targets", {}) if isinstance(document, dict) else None
    if not isinstance(targets, dict):
        raise ConfigError(f"inventory {path}: `targets` must be a mapping of entities to operations")
    return Inventory(
        {
            str(entity): {str(name): _operation(path, f"{entity}.{name}", value) for name, value in named.items()}
            for entity, named in targets.items()
        }
    )


def _operation(path: Path, where: str, value: Any) -> Operation:
    if not isinstance(value, dict) or bool(value.get("url")) == bool(value.get("argv")):
        raise ConfigError(f"inventory {path}: {where} needs exactly one of `url` and `argv`")
    argv = value.get("argv", [])
    if not isinstance(argv, list):
        raise ConfigError(f"inventory {path}: {where}.argv must be a list; a shell string is never run")
    known = {"url", "method", "headers", "body", "argv", "check_url"}
    if unknown := set(value) - known:
        raise ConfigError(f"inventory {path}: {where} has unknown fields {sorted(unknown)}; known: {sorted(known)}")
    return Operation(**{**value, "argv": tuple(str(part) for part in argv)})
