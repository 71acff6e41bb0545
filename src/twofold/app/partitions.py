"""One runner and sink for each partition of the journal, and what happens when a folder is to have more of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from twofold.aiops.detect.mining.board import Board
from twofold.aiops.respond.responder import Responder
from twofold.app.remedies import remedies
from twofold.app.stages import builder
from twofold.app.stores import Stores, open_blobs, open_stores
from twofold.config import Config
from twofold.errors import ConfigError, Corrupt, NotFound
from twofold.flow import checkpoint
from twofold.flow.decode import decode
from twofold.flow.homes import Homes, Own, parent_of
from twofold.flow.runner import Owns, Runner, checkpoint_name
from twofold.flow.sink import Follow, LedgerSink
from twofold.joints.detectors import Released
from twofold.mlops.monitor.profiles import Profiles
from twofold.records.frame import Position
from twofold.store.blobs import Blobs
from twofold.store.catalog import Catalog
from twofold.store.failpoints import reach

log = logging.getLogger(__name__)

LAYOUT: Final = "checkpoints/layout"
"""Blob that names the number of partitions that checkpoints are of; without it, as many as the journal has."""


def wire(
    config: Config, stores: Stores, released: Released, follow: Sequence[Follow], board: Board | None = None
) -> tuple[list[Runner], list[LedgerSink]]:
    """A runner and its sink for each partition of the journal, in order."""
    profiles = Profiles(stores.ledger, stores.blobs)
    partitions = len(stores.journal.partitions())
    runners, sinks = [], []
    for partition in range(partitions):
        sink = LedgerSink(stores.journal, stores.ledger, partition=partition, follow=follow)
        runner = Runner(
            stores.journal,
            partition,
            decode=decode,
            build=builder(
                config,
                stores.catalog,
                stores.ledger,
                profiles,
                released,
                board,
                partition=partition,
                partitions=partitions,
            ),
            sink=sink,
            blobs=stores.blobs,
            config=config.runner,
            owns=_owns(stores.catalog, partition, partitions),
        )
        runners.append(runner)
        sinks.append(sink)
    return runners, sinks


def _owns(catalog: Catalog, partition: int, partitions: int) -> Owns:
    return lambda tenant: Own(Homes(catalog, partitions), partition, tenant)


def rescale(config: Config) -> None:
    """Give a folder the configured number of partitions, when it was last run with fewer; before anything is received.

    Every old partition is worked off with the old stages, so that its state is that of all it was sent. A new one
    begins with a copy of the state of the one that it is split from; whoever restores a state of fewer partitions keeps
    its own part. Nothing that the old partitions need is changed: until the layout is replaced, at once and last, a
    start with the old number goes on as before, and one with the new number begins again.

    Raises:
        ConfigError: Fewer partitions than the folder was run with.
    """
    blobs = open_blobs(config)
    before = _partitions(config, blobs)
    if config.partitions < before:
        raise ConfigError(
            f"{config.partitions} partitions configured, {config.home} was run with {before}; set at least {before}",
            held=before,
        )
    if not before or config.partitions == before:
        return
    log.info("from %d to %d partitions: what is known moves with its series", before, config.partitions)
    stores = open_stores(replace(config, partitions=before))
    try:
        _work_off(config, stores)
        for partition in range(before, config.partitions):
            _split(blobs, partition, before)
        blobs.put(LAYOUT, str(config.partitions).encode())
        reach("rescale")
    finally:
        stores.close()


def _partitions(config: Config, blobs: Blobs) -> int:
    """Number of partitions that the folder was last run with, 0 for a new one."""
    held = len(list((config.home / "journal").glob("p[0-9]*")))
    try:
        return max(held, int(blobs.get(LAYOUT)))
    except NotFound:
        return held


def _work_off(config: Config, stores: Stores) -> None:
    """Carry all that was received through the old stages; the first partition last, as the others hand over to it."""
    released = Released(stores.ledger, stores.blobs)
    released.ensure()
    runbooks, actions = remedies(config, stores.ledger)
    responder = Responder(stores.ledger, runbooks=runbooks, actions=actions, config=config.respond.rules)
    runners, _ = wire(config, stores, released, (responder.follow,))
    for runner in reversed(runners):
        runner.restore()
        runner.drain()


def _split(blobs: Blobs, partition: int, before: int) -> None:
    """Let a new partition begin with what the one knows that it is split from."""
    old = parent_of(partition)
    while old >= before:
        old = parent_of(old)
    try:
        saved = checkpoint.load(blobs, checkpoint_name(old))
    except Corrupt as error:
        log.error("what partition %d had learnt is lost: %s", old, error)  # noqa: TRY400 - damaged bytes, no fault of the code
        saved = None
    if saved is None:
        blobs.delete(checkpoint_name(partition))
    else:
        checkpoint.save(blobs, checkpoint_name(partition), replace(saved, position=Position(0, 0)))
    reach("rescale")
