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
from twofold.store.catalog.files import FileCatalog
from twofold.store.history.delta import DeltaHistory
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
        history=DeltaHistory(home / "history"),
        ledger=open_ledger(home / "ledger.sqlite"),
        blobs=FileBlobs(home / "blobs"),
    )


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
