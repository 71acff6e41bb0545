"""`twofold backup`, `restore`, `verify`: a data folder, kept safe. They work on files and call no server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twofold.cli.output import Exit, Format, Output, show, table

if TYPE_CHECKING:
    from twofold.config import Config
    from twofold.store.backup import Progress
    from twofold.store.backup.manifest import Manifest
    from twofold.store.s3 import S3Config

Settings = Annotated[Path | None, typer.Option("--config", help="Settings as YAML.")]


def backup(
    target: Annotated[Path, typer.Argument(help="Folder to make, or a file that ends in .tar.")],
    home: Annotated[Path | None, typer.Option("--data", help="Folder to back up [~/.twofold].")] = None,
    config: Settings = None,
    output: Output = Format.TABLE,
) -> None:
    """Copy everything that is kept, consistently, also while Twofold runs."""
    from twofold.config import load
    from twofold.store.backup.snapshot import back_up

    settings = load(config, {"home": home})
    with _bar("backup", output) as progress:
        manifest = back_up(settings.home, target, storage=_storage(settings), progress=progress)
    _tell(manifest, target, "backed up to", output)


def restore(
    source: Annotated[Path, typer.Argument(help="A backup.")],
    home: Annotated[Path | None, typer.Option("--data", help="Empty or new folder [~/.twofold].")] = None,
    config: Settings = None,
    output: Output = Format.TABLE,
) -> None:
    """Put a backup into an empty folder, and into an empty bucket where one is configured.

    Remedies stay switched off there until somebody releases the kill switch.
    """
    from twofold.config import load
    from twofold.store.backup import restore as restoring

    settings = load(config, {"home": home})
    with _bar("restore", output) as progress:
        manifest = restoring.restore(source, settings.home, storage=_storage(settings), progress=progress)
    _halt(settings.home)
    _tell(manifest, settings.home, "restored to", output)
    if output is Format.TABLE:
        typer.echo("What it was about to do may be done by now: the kill switch is engaged until you release it.")


def verify(
    source: Annotated[Path, typer.Argument(help="A backup, or the data folder of a Twofold that is stopped.")],
    config: Settings = None,
    output: Output = Format.TABLE,
) -> None:
    """Check every file of a backup or data folder; ends with 1 when something is wrong."""
    from twofold.config import load
    from twofold.store.backup.restore import verify as check

    storage = _storage(load(config, {}))
    with _held(source), _bar("verify", output) as progress:
        manifest, problems = check(source, storage=storage, progress=progress)
    files = len(manifest.files) if manifest else None
    if output is Format.JSON:
        found = [{"path": each.path, "what": each.what} for each in problems]
        show({"ok": not problems, "files": files, "problems": found})
    else:
        whole = f"All {files} files are whole." if manifest else "Everything in the data folder is whole."
        table(("file", "what is wrong"), ((each.path, each.what) for each in problems), empty=whole)
    if problems:
        raise typer.Exit(Exit.FAILED)


def _storage(settings: Config) -> S3Config | None:
    """Where history and blobs stand, when not in the data folder."""
    return settings.storage if settings.storage.url else None


@contextmanager
def _held(source: Path) -> Iterator[None]:
    """A data folder must stand still while it is checked; a backup does."""
    from twofold.app.stores import lock

    if (source / "manifest.json").exists() or not (source / "ledger.sqlite").exists():
        yield
        return
    with lock(source):
        yield


@contextmanager
def _bar(name: str, output: Format) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Drawn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    quiet = output is Format.JSON
    with Drawn(*columns, console=Console(stderr=True), transient=True, disable=quiet) as drawn:
        task = drawn.add_task(name, total=None)
        yield lambda done, total: drawn.update(task, completed=done, total=total)


def _tell(manifest: Manifest, place: Path, what: str, output: Format) -> None:
    if output is Format.JSON:
        facts = dict(manifest.facts)
        show({"place": str(place), "files": len(manifest.files), "size_bytes": manifest.size, "facts": facts})
        return
    typer.echo(f"{len(manifest.files)} files, {manifest.size / 1e6:.1f} MB {what} {place}")


def _halt(home: Path) -> None:
    """Engage the kill switch of every tenant that has records."""
    from datetime import UTC, datetime

    from twofold.aiops.respond.switch import ENGAGED, KILL_SWITCH
    from twofold.records.access import Setting
    from twofold.store.ledger.sql import open_ledger

    ledger = open_ledger(home / "ledger.sqlite")
    try:
        tenants, after = set(), 0
        while page := ledger.changes(after):
            tenants |= {change.tenant for change in page}
            after = page[-1].seq
        now = datetime.now(UTC)
        switches = [
            Setting(id=KILL_SWITCH, value=ENGAGED, changed=now, author="restore", tenant=tenant)
            for tenant in sorted(tenants)
        ]
        ledger.put(*switches)
    finally:
        ledger.close()
