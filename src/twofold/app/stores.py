"""Opens what a data folder holds."""

from __future__ import annotations

import fcntl
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from twofold.config import Config
from twofold.errors import Conflict
from twofold.flow.recorder import recall_series
from twofold.store.blobs import Blobs
from twofold.store.blobs.files import FileBlobs
from twofold.store.blobs.s3 import S3Blobs
from twofold.store.catalog.files import FileCatalog
from twofold.store.history.delta import DeltaHistory, HistoryConfig
from twofold.store.journal.segments import SegmentJournal
from twofold.store.ledger import Ledger
from twofold.store.ledger.sql import open_ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Everything that survives a restart, of the first process."""

    home: Path
    journal: SegmentJournal
    catalog: FileCatalog
    history: DeltaHistory
    ledger: Ledger
    blobs: Blobs

    def close(self) -> None:
        """Release all, the journal last: it holds what the others have not taken yet."""
        self.history.close()
        self.ledger.close()
        self.journal.close()


def open_stores(config: Config) -> Stores:
    """Open the stores of the first process. Raises `Corrupt`, `ConfigError` or `StorageFull` from an engine."""
    home = config.home
    limits = config.ingest.clean
    catalog = FileCatalog(
        home / "catalog", limit_per_tenant=limits.tenant_series, limit_per_metric=limits.metric_series
    )
    journal = SegmentJournal(home / "journal", partitions=config.partitions)
    recall_series(journal, catalog)
    return Stores(
        home=home,
        journal=journal,
        catalog=catalog,
        history=open_history(config),
        ledger=open_ledger(home / "ledger.sqlite"),
        blobs=open_blobs(config),
    )


def open_history(config: Config) -> DeltaHistory:
    """The history in the data folder, or in S3-compatible storage with what was read of it in the data folder."""
    return DeltaHistory(config.home / "history", config=HistoryConfig(s3=config.storage))


def open_blobs(config: Config) -> Blobs:
    """The blobs, beside the history."""
    return S3Blobs(config.storage) if config.storage.url else FileBlobs(config.home / "blobs")


def lock(home: Path) -> IO[str]:
    """Hold a data folder for this process alone.

    Raises:
        Conflict: Another process holds it.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = (home / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise Conflict(f"another Twofold runs on {home}; stop it or choose another --data", home=str(home)) from error
    return file
