"""Files that are read once, for import: JSON lines, CSV, Parquet and log text, as requests for our own receivers.

Samples are sorted by time, so that what looks for anomalies sees them as they happened. Of a table with a value
column each row is a sample; without one each numeric column is a metric. Other columns are labels.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from twofold.aiops.ingest.files.text import TextReader
from twofold.aiops.ingest.logs.bulk import Bulk
from twofold.aiops.ingest.logs.documents import BODY_KEYS, TIME_KEYS, parse_time_ns
from twofold.aiops.ingest.logs.lines import Lines
from twofold.aiops.ingest.logs.loki import Loki, push_of
from twofold.aiops.ingest.otlp.message import JSON
from twofold.aiops.ingest.prometheus.remote_write import NAME
from twofold.aiops.ingest.pull.prometheus import exported_series
from twofold.aiops.ingest.pull.source import Pulled, Request, Window, write_requests
from twofold.errors import ConfigError, DecodeError

Kind = Literal["auto", "logs", "samples"]

LINES_TOGETHER: Final = 5_000
ROWS_TOGETHER: Final = 50_000
CHUNK: Final = 4 << 20
MS_NS: Final = 1_000_000
_VALUE: Final = ("value", "Value", "val")
_METRIC: Final = (NAME, "metric", "metric_name", "name")
_BULK_HEAD: Final = b'{"create":{}}\n'
_SUFFIXES: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_EVER: Final = Window(-1, 1 << 62)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileImport:
    """What a file holds, where its columns say it in words of their own.

    Attributes:
        kind: Logs, samples, or whichever its first rows look like.
        time: Column of the time.
        value: Column of the value.
        metric: Column of the metric's name, or, when there is no such column, the name.
        body: Column of a log line's text.
        service: Whose telemetry it is when no row says it.
        zone: IANA time zone of times in log text that carry none.
    """

    kind: Kind = "auto"
    time: str = ""
    value: str = ""
    metric: str = ""
    body: str = ""
    service: str = ""
    zone: str = "UTC"


class Piece(NamedTuple):
    """A request, and how much of the file is read with it."""

    request: Request
    done: int


class ImportedFile:
    """A file to import.

    Attributes:
        total: Its size in the unit of `Piece.done`: bytes, or rows of a table.

    Raises:
        ConfigError: No such file, or its columns do not tell what is needed.
        DecodeError: It cannot be read.
    """

    def __init__(self, path: Path, config: FileImport, now_ns: int) -> None:
        if not path.is_file():
            raise ConfigError(f"{path} is not a file", path=str(path))
        self._path = path
        self._config = config
        self._now_ns = now_ns
        plain = path.with_suffix("") if path.suffix == ".gz" else path
        self._format = _SUFFIXES.get(plain.suffix.lower(), "text")
        self._table = _table(path, self._format) if self._format in {"csv", "parquet"} else None
        self.total = path.stat().st_size if self._table is None else self._table.num_rows

    def pieces(self, after: int = 0) -> Iterator[Piece]:
        """Its content behind what was read before, in requests."""
        if self._table is not None:
            yield from self._rows(self._table, after)
        elif self._format == "jsonl":
            yield from self._json(after)
        else:
            yield from self._text(after)

    def _rows(self, table: pa.Table, after: int) -> Iterator[Piece]:
        names = table.column_names
        body = self._config.body or next((name for name in BODY_KEYS if name in names), "")
        logs = self._config.kind == "logs" or (self._config.kind == "auto" and body in names and not self._config.value)
        yield from self._documents(table, body, after) if logs else self._samples(table, after)

    def _documents(self, table: pa.Table, body: str, after: int) -> Iterator[Piece]:
        renamed = {self._config.time: "@timestamp", body: "message"}
        table = table.rename_columns([renamed.get(name, name) for name in table.column_names])
        for start in range(after, table.num_rows, LINES_TOGETHER):
            rows = table.slice(start, LINES_TOGETHER).to_pylist()
            lines = [self._serviced(row) for row in rows]
            yield Piece(_bulk(lines), start + len(rows))

    def _serviced(self, row: dict[str, Any]) -> bytes:
        if self._config.service and not row.get("service.name") and not row.get("service"):
            row["service.name"] = self._config.service
        return orjson.dumps(row, default=_label, option=orjson.OPT_NAIVE_UTC)

    def _samples(self, table: pa.Table, after: int) -> Iterator[Piece]:
        """Rows by time; those without a time or value are left out."""
        time_column = _column(table, self._config.time, TIME_KEYS, "time")
        time_ms = _times_ms(table.column(time_column).combine_chunks())
        order = np.argsort(time_ms, kind="stable")
        time_ms, table = time_ms[order], table.take(pa.array(order)).drop_columns([time_column])
        numeric = [field.name for field in table.schema if _is_number(field.type)]
        value = self._config.value or next((name for name in _VALUE if name in numeric), "")
        if value and value not in numeric:
            raise ConfigError(f"column {value!r} of {self._path.name} is no numeric column; these are: {numeric}")
        values = [value] if value else numeric
        if not values:
            raise ConfigError(f"{self._path.name} has no numeric column besides its time; is it a file of logs?")
        labels = [name for name in table.column_names if name not in (values if value else numeric)]
        for start in range(after, table.num_rows, ROWS_TOGETHER):
            part = table.slice(start, ROWS_TOGETHER)
            found = self._series(part, time_ms[start : start + part.num_rows], values, labels)
            done = start + part.num_rows
            for request in write_requests(found, {}):
                yield Piece(request, done)

    def _series(
        self, part: pa.Table, time_ms: npt.NDArray[np.int64], values: list[str], labels: list[str]
    ) -> Iterator[Pulled]:
        metric = next((name for name in (self._config.metric, *_METRIC) if name in labels), "")
        groups = _groups(part, labels)
        for value in values:
            number = pc.cast(part.column(value).combine_chunks(), pa.float64(), safe=False).to_numpy(
                zero_copy_only=False
            )
            usable = np.isfinite(number) & (time_ms > 0)
            for own, rows in groups:
                rows = rows[usable[rows]]  # noqa: PLW2901 - of these, the usable ones
                if len(rows):
                    named = {key: text for key, text in own.items() if key != metric}
                    if self._config.service and not (named.get("job") or named.get("service")):
                        named["job"] = self._config.service
                    named[NAME] = self._name(own.get(metric, ""), value, single=len(values) == 1)
                    yield Pulled(named, time_ms[rows].tolist(), number[rows].tolist())

    def _name(self, said: str, column: str, *, single: bool) -> str:
        """The row's own metric, else the one that was named, else the column, or the file where it is only `value`."""
        if said or (single and self._config.metric):
            return said or self._config.metric
        return self._path.name.partition(".")[0] if column in _VALUE else column

    def _json(self, after: int) -> Iterator[Piece]:
        for lines, done in self._line_chunks(after):
            first = _object(lines[0])
            if self._config.kind != "logs" and isinstance(first.get("metric"), dict) and "timestamps" in first:
                series = (exported_series(line, _EVER) for line in lines)
                for request in write_requests((each for each in series if each is not None), {}):
                    yield Piece(request, done)
            elif self._config.kind == "samples" or (self._config.kind == "auto" and _is_sample(first, self._config)):
                table = _from_objects([_flat(_object(line)) for line in lines])
                yield from (Piece(piece.request, done) for piece in self._samples(table, 0))
            else:
                for start in range(0, len(lines), LINES_TOGETHER):
                    part = [self._document_line(line) for line in lines[start : start + LINES_TOGETHER]]
                    yield Piece(_bulk(part), done)

    def _document_line(self, line: bytes) -> bytes:
        """A line as the document to send: as it is, where nothing has to be added or renamed."""
        item = _object(line)
        if not item:
            return orjson.dumps({"message": line.decode(errors="replace")})
        if not (self._config.service or self._config.time or self._config.body):
            return line
        for own, ours in ((self._config.time, "@timestamp"), (self._config.body, "message")):
            if own and own in item:
                item[ours] = item.pop(own)
        return self._serviced(item)

    def _text(self, after: int) -> Iterator[Piece]:
        service = self._config.service or self._path.name.partition(".")[0]
        for lines, done in self._line_chunks(after):
            found = Lines()
            reader = TextReader(self._config.zone, self._now_ns, self._now_ns)
            reader.read(lines, found, service=service, path=str(self._path))
            batch, _ = found.batch(self._now_ns, self._now_ns)
            yield Piece(Request(Loki.path, JSON, push_of(batch), batch.num_rows), done)

    def _line_chunks(self, after: int) -> Iterator[tuple[list[bytes], int]]:
        """Lines of about `CHUNK` bytes that end behind `after`, and the bytes of the file read with them."""
        with _opened(self._path) as file:
            raw: BinaryIO = file.fileobj if isinstance(file, gzip.GzipFile) else file  # type: ignore[assignment]  # open for reading
            try:
                while lines := file.readlines(CHUNK):
                    done = raw.tell()
                    wanted = [line.rstrip(b"\r\n") for line in lines if line.strip()]
                    if done > after and wanted:
                        yield wanted, done
            except (OSError, EOFError) as error:
                raise DecodeError(f"{self._path} cannot be read on: {error}", reason="decode") from error


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _table(path: Path, kind: str) -> pa.Table:
    """A whole table. Raises `DecodeError`."""
    import pyarrow.csv  # noqa: PLC0415 - only imports need them
    import pyarrow.parquet  # noqa: PLC0415

    try:
        if kind == "parquet":
            found = pyarrow.parquet.read_table(path)
        else:
            separator = "\t" if ".tsv" in path.suffixes else ","
            found = pyarrow.csv.read_csv(path, parse_options=pyarrow.csv.ParseOptions(delimiter=separator))
        names = found.column_names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DecodeError(f"{path} cannot be read: {error}", reason="decode") from error
    if len(set(names)) < len(names):
        raise ConfigError(f"{path.name} has columns of the same name: {names}", columns=names)
    return found


def _from_objects(items: list[dict[str, Any]]) -> pa.Table:
    """Objects as a table. Raises `DecodeError` when a field is a number here and a text there."""
    names = dict.fromkeys(key for item in items for key in item)
    try:
        return pa.table({name: pa.array([item.get(name) for item in items]) for name in names})
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        raise DecodeError(f"JSON lines do not make a table: {error}", reason="decode") from error


def _column(table: pa.Table, named: str, usual: tuple[str, ...], what: str) -> str:
    names = table.column_names
    wanted = named or next((name for name in usual if name in names), "")
    if wanted not in names:
        raise ConfigError(f"no column {wanted or what!r}; name the {what} column, one of {names}", columns=names)
    return wanted


def _times_ms(column: pa.Array) -> npt.NDArray[np.int64]:
    """Milliseconds; 0 where there is no time. Raises `DecodeError`."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        cast = column.cast(pa.timestamp("ms", getattr(column.type, "tz", None)), safe=False).cast(pa.int64())
        whole: npt.NDArray[np.int64] = cast.fill_null(0).to_numpy(zero_copy_only=False)
        return whole
    return np.array([0 if value is None else parse_time_ns(value) // MS_NS for value in column.to_pylist()], np.int64)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _groups(part: pa.Table, labels: list[str]) -> list[tuple[dict[str, str], npt.NDArray[np.int64]]]:
    """Rows by their labels; empty ones are left out."""
    if not labels:
        return [({}, np.arange(part.num_rows))]
    columns = [_hashable(part.column(name)) for name in labels]
    rows: dict[tuple[Any, ...], list[int]] = {}
    for number, key in enumerate(zip(*columns, strict=True)):
        rows.setdefault(key, []).append(number)
    return [
        (
            {name: _label(value) for name, value in zip(labels, key, strict=True) if value not in (None, "", b"")},
            np.array(numbers, np.int64),
        )
        for key, numbers in rows.items()
    ]


def _hashable(column: pa.ChunkedArray) -> list[Any]:
    """Values of a column of labels; lists and objects as JSON. Raises `DecodeError` where that is not possible."""
    values: list[Any] = column.to_pylist()
    if not pa.types.is_nested(column.type):
        return values
    try:
        return [orjson.dumps(value, default=str).decode() if value else None for value in values]
    except TypeError as error:
        raise DecodeError(f"a label cannot be written as JSON: {error}", reason="decode") from error


def _label(value: object) -> str:
    """A value as a label; CSV that is not UTF-8 comes as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _is_sample(first: Mapping[str, Any], config: FileImport) -> bool:
    """Whether a JSON object looks like a sample: a numeric value, and no text."""
    value = first.get(config.value or "value")
    named = config.value or config.metric or any(name in first for name in _METRIC)
    return isinstance(value, int | float) and bool(named) and not any(key in first for key in BODY_KEYS)


def _object(line: bytes) -> dict[str, Any]:
    """The JSON object of a line, empty when it is none."""
    try:
        item = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return item if isinstance(item, dict) else {}


def _flat(item: dict[str, Any]) -> dict[str, Any]:
    """An object's labels beside its value, where they stand in an object of their own."""
    labels = item.pop("labels", item.pop("tags", None))
    return (labels if isinstance(labels, dict) else {}) | item


def _bulk(lines: list[bytes]) -> Request:
    body = b"".join(_BULK_HEAD + line + b"\n" for line in lines)
    return Request(Bulk.path, Bulk.media[0], body, len(lines))
