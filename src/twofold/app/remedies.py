"""Runbooks and the actions they may use: declared operations from the inventory, model actions from the joint."""

from __future__ import annotations

from twofold.aiops.respond.actions import Actions, declared_actions
from twofold.aiops.respond.inventory import Inventory, load_inventory
from twofold.aiops.respond.runbooks import load_runbooks
from twofold.config import Config
from twofold.flow.outgoing import Outgoing
from twofold.joints.remedies import RetrainModel, RollbackModel
from twofold.records.runbook import Runbook
from twofold.store.ledger import Ledger


def remedies(config: Config, ledger: Ledger) -> tuple[list[Runbook], Actions]:
    """The same in both processes: what was approved in one is what runs in the other. Raises `ConfigError`."""
    respond = config.respond
    inventory = load_inventory(respond.inventory) if respond.inventory else Inventory({})
    outgoing = Outgoing(trusted=list(inventory.urls()), config=respond.outgoing)
    actions = declared_actions(inventory, outgoing)
    actions.add(RollbackModel(ledger))
    actions.add(RetrainModel(ledger))
    return load_runbooks(respond.runbooks, actions), actions
