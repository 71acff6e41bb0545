"""Typed actions: the only things that a runbook step can do."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any, Final, Protocol

import orjson

from twofold.aiops.respond.inventory import Inventory, Operation
from twofold.errors import ConfigError, InputError, NotFound, TwofoldError, Unavailable
from twofold.flow.outgoing import Outgoing

_PROGRAM_S: Final = 60.0

Arguments = Mapping[str, Any]


class Action(Protocol):
    """One kind of act. Calls may come from any thread."""

    name: str

    def targets(self, arguments: Arguments) -> tuple[str, ...]:
        """Entity ids that the act touches. Raises `InputError` for bad arguments, `NotFound` for undeclared targets."""
        ...

    def describe(self, arguments: Arguments) -> str:
        """What would be done, in one sentence: the dry run."""
        ...

    def run(self, arguments: Arguments, *, key: str) -> str:
        """Do it and say what was done. `key` names this step of this execution, for receivers that deduplicate."""
        ...

    def check(self, arguments: Arguments) -> bool | None:
        """Read only: has it taken effect? None when that cannot be told."""
        ...


class Actions:
    """The registry of actions. Joints add theirs (model rollback, retraining)."""

    def __init__(self, *actions: Action) -> None:
        self._actions: dict[str, Action] = {}
        for action in actions:
            self.add(action)

    def add(self, action: Action) -> None:
        """Make an action known. Raises `ConfigError` when the name is taken."""
        if action.name in self._actions:
            raise ConfigError(f"two actions are named {action.name!r}")
        self._actions[action.name] = action

    def get(self, name: str) -> Action:
        """The action. Raises `NotFound`."""
        if name not in self._actions:
            raise NotFound(f"no action {name!r}; known: {sorted(self._actions)}", action=name)
        return self._actions[name]

    def names(self) -> list[str]:
        """Names of all actions, sorted."""
        return sorted(self._actions)


class Operate:
    """Runs one operation that the inventory declares for an entity.

    Args:
        name: The action's and the operation's name: `restart`, `deploy.rollback`, `data.rollback`, `disk.clean`.
        verb: For people: "restart", "roll back the deploy of".
    """

    _OUTPUT: Final = 400

    def __init__(self, name: str, verb: str, *, inventory: Inventory, outgoing: Outgoing) -> None:
        self.name = name
        self._verb = verb
        self._inventory = inventory
        self._outgoing = outgoing

    def targets(self, arguments: Arguments) -> tuple[str, ...]:
        """The one entity named by the argument `entity`."""
        entity = arguments.get("entity")
        if not isinstance(entity, str) or not entity:
            raise InputError(f"{self.name} needs the argument `entity`, got {entity!r}", reason="bad_argument")
        self._inventory.find(entity, self.name)
        return (entity,)

    def describe(self, arguments: Arguments) -> str:
        """What would be called."""
        (entity,) = self.targets(arguments)
        operation = self._inventory.find(entity, self.name)
        how = f"{operation.method} {operation.url}" if operation.url else " ".join(operation.argv)
        return f"{self._verb} {entity} ({how})"

    def run(self, arguments: Arguments, *, key: str) -> str:
        """Call the declared URL or run the declared program."""
        (entity,) = self.targets(arguments)
        operation = self._inventory.find(entity, self.name)
        output = self._call(operation, key) if operation.url else _spawn(operation)
        return f"{self._verb} {entity}: {output[: self._OUTPUT]}"

    def check(self, arguments: Arguments) -> bool | None:
        """Ask the declared `check_url`, if there is one and it answers."""
        (entity,) = self.targets(arguments)
        operation = self._inventory.find(entity, self.name)
        if not operation.check_url:
            return None
        try:
            _, body = self._outgoing.request("GET", operation.check_url, headers=operation.headers)
            done = orjson.loads(body).get("done")
        except (TwofoldError, ValueError, AttributeError):
            return None
        return done if isinstance(done, bool) else None

    def _call(self, operation: Operation, key: str) -> str:
        headers = {"content-type": "application/json", **operation.headers, "idempotency-key": key}
        status, body = self._outgoing.request(
            operation.method, operation.url, headers=headers, content=operation.body.encode()
        )
        return f"{status} {body.decode(errors='replace')}".strip()


def _spawn(operation: Operation) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed argument list from the inventory, no shell
            operation.argv, capture_output=True, text=True, timeout=_PROGRAM_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        text = f"{operation.argv[0]} was ended after {_PROGRAM_S:g} s"
        raise Unavailable(text, sent=True) from error
    text = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise Unavailable(f"{operation.argv[0]} ended with {done.returncode}: {text[:400]}", code=done.returncode)
    return text or "done"


def declared_actions(inventory: Inventory, outgoing: Outgoing) -> Actions:
    """The actions whose effect the inventory declares."""
    verbs = {
        "restart": "restart",
        "deploy.rollback": "roll back the deploy of",
        "data.rollback": "roll back the data behind",
        "disk.clean": "clean the disk of",
        "http.call": "call the declared endpoint of",
    }
    return Actions(*(Operate(name, verb, inventory=inventory, outgoing=outgoing) for name, verb in verbs.items()))
