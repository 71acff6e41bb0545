"""Data as it was: files, tables or a pinned Delta version made into an immutable dataset version.

A snapshot is a manifest (names, sizes and SHA-256 of its files, sorted) whose hash is the
version's id. Files are blobs, so a file that two versions share is stored once.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from twofold.errors import Corrupt, InputError, NotFound, TooLarge
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.model import DatasetVersion
from twofold.store.blobs import Blobs

MAX_FILE_BYTES: Final = 1 << 30
MAX_FILES: Final = 10_000
TABLE_FILE: Final = "data.arrow"
_DIGITS: Final = 16


def snapshot_files(
    dataset: str, path: Path, blobs: Blobs, *, now: datetime, tenant: str = DEFAULT_TENANT
) -> DatasetVersion:
    """Snapshot a file, or every file below a folder but hidden ones. The same content gives the same id.

    Rows and schema are read from CSV, Parquet and Arrow files; other files count as bytes only.

    Raises:
        NotFound: Nothing stands at the path.
        InputError: There is no file to take, or a link leads out of the folder.
        TooLarge: A file or their number is past its limit.
    """
    if not path.exists():
        raise NotFound(f"dataset {dataset}: nothing stands at {path}", path=str(path))
    entries: list[dict[str, Any]] = []
    rows, schema = 0, dict[str, str]()
    for name, file in _files(path):
        content = _content(dataset, file)
        entries.append({"name": name, "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)})
        if (table := _table(name, content)) is not None:
            rows += table.num_rows
            schema.update(_schema(table.schema))
        blobs.add(content)
    if not entries:
        raise InputError(f"dataset {dataset}: {path} holds no file", reason="empty", path=str(path))
    return _version(dataset, entries, rows, schema, blobs, source=str(path), now=now, tenant=tenant)


def snapshot_table(
    dataset: str,
    table: pa.Table,
    blobs: Blobs,
    *,
    now: datetime,
    source: str = "",
    tenant: str = DEFAULT_TENANT,
) -> DatasetVersion:
    """Snapshot rows in memory as one Arrow file; `source` says where they come from (`delta:samples@12`).

    Chunks are joined first, so equal rows give equal bytes however they were read.

    Raises:
        InputError: The table has no rows.
    """
    if not table.num_rows:
        raise InputError(f"dataset {dataset}: no rows to snapshot (source {source or 'a table'})", reason="empty")
    sink = pa.BufferOutputStream()
    whole = table.combine_chunks().replace_schema_metadata(None)
    with pa.ipc.new_file(sink, whole.schema) as writer:
        writer.write_table(whole)
    content = sink.getvalue().to_pybytes()
    entry = {"name": TABLE_FILE, "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    blobs.add(content)
    return _version(
        dataset, [entry], whole.num_rows, _schema(whole.schema), blobs, source=source, now=now, tenant=tenant
    )


def materialise(version: DatasetVersion, blobs: Blobs, folder: Path) -> Path:
    """Write the snapshot's files below a folder and return it; training reads them there.

    Raises:
        NotFound, Corrupt: The snapshot's bytes are gone or changed.
    """
    try:
        entries = json.loads(blobs.get(version.location))["files"]
        named = [(folder / entry["name"], entry["sha256"]) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"dataset {version.id}: {version.location} is no manifest: {error}") from error
    for path, sha256 in named:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise Corrupt(f"dataset {version.id}: {path.name} lies outside the snapshot")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blobs.get(f"sha256/{sha256}"))
    return folder


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield path.name, path
        return
    root = path.resolve()
    found = sorted(file for file in path.rglob("*") if file.is_file())
    visible = [file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    if len(visible) > MAX_FILES:
        raise TooLarge(f"{path} holds {len(visible)} files, limit {MAX_FILES}", reason="files", limit=MAX_FILES)
    for file in visible:
        if not file.resolve().is_relative_to(root):
            raise InputError(f"{file} is a link that leads out of {path}", reason="link", path=str(file))
        yield file.relative_to(path).as_posix(), file


def _content(dataset: str, file: Path) -> bytes:
    size = file.stat().st_size
    if size > MAX_FILE_BYTES:
        raise TooLarge(
            f"dataset {dataset}: {file} has {size} bytes, limit {MAX_FILE_BYTES}; split it",
            reason="file_bytes",
            size_bytes=size,
            limit_bytes=MAX_FILE_BYTES,
        )
    return file.read_bytes()


def _table(name: str, content: bytes) -> pa.Table | None:
    """The rows of a file of a known kind. A file that is not what its name claims is bad input."""
    kind = name.rsplit(".", 1)[-1].lower()
    try:
        if kind == "csv":
            return pyarrow.csv.read_csv(io.BytesIO(content))
        if kind == "parquet":
            return pyarrow.parquet.read_table(io.BytesIO(content))
        if kind in {"arrow", "feather"}:
            return pa.ipc.open_file(io.BytesIO(content)).read_all()
    except pa.ArrowException as error:
        raise InputError(f"{name} is no readable {kind} file: {error}", reason="unreadable", file=name) from error
    return None


def _schema(schema: pa.Schema) -> dict[str, str]:
    return {column.name: str(column.type) for column in schema}


def _version(
    dataset: str,
    entries: list[dict[str, Any]],
    rows: int,
    schema: Mapping[str, str],
    blobs: Blobs,
    *,
    source: str,
    now: datetime,
    tenant: str,
) -> DatasetVersion:
    manifest = json.dumps({"files": entries}, sort_keys=True, separators=(",", ":")).encode()
    sha256 = hashlib.sha256(manifest).hexdigest()
    return DatasetVersion(
        id=f"{dataset}@{sha256[:_DIGITS]}",
        dataset=dataset,
        sha256=sha256,
        rows=rows,
        size_bytes=sum(entry["size_bytes"] for entry in entries),
        location=blobs.add(manifest),
        created=now,
        schema=schema,
        source=source,
        tenant=tenant,
    )
