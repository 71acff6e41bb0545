"""Pulling from other systems, against their published HTTP APIs, and tables of files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.files.tables import FileImport, ImportedFile
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.prometheus.message import WriteRequest
from twofold.aiops.ingest.pull import source as pull
from twofold.aiops.ingest.pull.loki import Loki
from twofold.aiops.ingest.pull.prometheus import Prometheus, VictoriaMetrics
from twofold.aiops.ingest.pull.source import Asker, PullConfig, Request, Window
from twofold.aiops.ingest.receiver import Payload
from twofold.errors import ConfigError, DecodeError, Permanent, TooLarge, Transient, Unavailable
from twofold.flow.outgoing import Refused
from twofold.records.frame import FrameKind, Lane

Answer = Callable[[str, dict[str, str]], Any]


class FakeOutgoing:
    """Answers by path and parameters instead of going out."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._answer = answer

    def request(self, _method: str, url: str, *, headers: Mapping[str, str]) -> tuple[int, bytes]:
        assert headers["X-Scope-OrgID"] == "7"
        parts = urlsplit(url)
        parameters = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.asked.append((parts.path, parameters))
        found = self._answer(parts.path, parameters)
        return 200, found if isinstance(found, bytes) else orjson.dumps({"status": "success", "data": found})


def asker(answer: Answer) -> tuple[Asker, FakeOutgoing]:
    made = Asker(PullConfig(url="http://other:9090/", headers={"X-Scope-OrgID": "7"}), sleep=lambda _: None)
    made.close()
    fake = FakeOutgoing(answer)
    made._client = fake  # type: ignore[assignment]  # the same one method
    return made, fake


def samples_of(requests: list[Request]) -> dict[str, list[tuple[int, float]]]:
    """Samples by metric and labels."""
    found: dict[str, list[tuple[int, float]]] = {}
    for request in requests:
        for series in WriteRequest.FromString(request.body).timeseries:
            key = ",".join(f"{label.name}={label.value}" for label in series.labels)
            found.setdefault(key, []).extend((sample.timestamp, sample.value) for sample in series.samples)
    return found


class ServedPrometheus:
    """Two metrics with a sample every second; refuses questions of more than 60 samples."""

    names = ("up", "load")

    def __call__(self, path: str, parameters: dict[str, str]) -> Any:
        if path.endswith("/label/__name__/values"):
            return list(self.names)
        if path.endswith("/metadata"):
            return {"up": [{"type": "gauge", "help": "", "unit": ""}], "load": []}
        end_ms = round(float(parameters["time"]) * 1000)
        selector, _, width = parameters["query"].rpartition("[")
        start_ms = end_ms - int(width.removesuffix("ms]"))
        times = range(start_ms - start_ms % 1000, end_ms + 1, 1000)  # one too early, as Prometheus 2 gives it
        wanted = [name for name in self.names if name in selector]
        if len(times) * len(wanted) > 60:
            raise Refused("too many samples", status=422)
        return {
            "resultType": "matrix",
            "result": [
                {"metric": {"__name__": name, "job": "x"}, "values": [[each / 1000, "1.5"] for each in times]}
                for name in wanted
            ],
        }


def test_every_sample_of_a_prometheus_comes_once_however_its_questions_are_split() -> None:
    made, fake = asker(ServedPrometheus())
    found = samples_of(list(Prometheus(PullConfig(url="http://x"), made).requests(Window(0, 100_000))))
    assert set(found) == {"__name__=up,job=x", "__name__=load,job=x"}
    for pairs in found.values():
        assert pairs == [(second * 1000, 1.5) for second in range(1, 101)]
    assert sum(path.endswith("/query") for path, _ in fake.asked) > 3


def test_a_match_narrows_every_question_and_types_come_along() -> None:
    made, fake = asker(ServedPrometheus())
    config = PullConfig(url="http://x", match='up{job="x"}')
    (request,) = Prometheus(config, made).requests(Window(0, 10_000))
    asked = [parameters["query"] for path, parameters in fake.asked if path.endswith("/query")]
    assert asked == ['{__name__="up",job="x",__name__=~"up|load"}[10000ms]'.replace("up|load", "load|up")]
    message = WriteRequest.FromString(request.body)
    assert [(each.metric_family_name, each.type) for each in message.metadata] == [("up", 2)]


def test_a_refusal_for_another_reason_is_not_asked_again() -> None:
    def refuse(_path: str, _parameters: dict[str, str]) -> Any:
        raise Refused("no", status=403)

    made, fake = asker(refuse)
    with pytest.raises(Permanent):
        list(Prometheus(PullConfig(url="http://x"), made).requests(Window(0, 10_000)))
    assert len(fake.asked) == 1


def test_a_system_that_is_busy_is_asked_again_and_given_up_after_a_while() -> None:
    tries: list[int] = []

    def busy(_path: str, _parameters: dict[str, str]) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise Unavailable("busy")
        return []

    made, _ = asker(busy)
    assert made.json("/x") == []

    def gone(_path: str, _parameters: dict[str, str]) -> Any:
        raise Unavailable("gone")

    made, fake = asker(gone)
    with pytest.raises(Transient):
        made.json("/x")
    assert len(fake.asked) == pull.TRIES


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b'{"status":"error"}',
        b"[]",
        b'{"status":"success","data":{"result":7}}',
        b'{"status":"success","data":{"result":[{"metric":{"__name__":"a"},"values":[["x",1]]}]}}',
    ],
)
def test_an_answer_that_is_none_is_told(body: bytes) -> None:
    def answer(path: str, _parameters: dict[str, str]) -> Any:
        return ["a"] if path.endswith("/values") and b"result" in body else {} if path.endswith("/metadata") else body

    made, _ = asker(answer)
    with pytest.raises(DecodeError):
        list(Prometheus(PullConfig(url="http://x"), made).requests(Window(0, 10_000)))


def test_with_a_step_it_is_one_value_a_step() -> None:
    def answer(path: str, parameters: dict[str, str]) -> Any:
        if not path.endswith("/query_range"):
            return ["up"] if path.endswith("/values") else {}
        assert [float(parameters[key]) for key in ("start", "end", "step")] == [5, 10, 5]
        return {"result": [{"metric": {"__name__": "up"}, "values": [[5, "1"], [10, "2"]]}]}

    made, _ = asker(answer)
    config = PullConfig(url="http://x", step_s=5)
    assert samples_of(list(Prometheus(config, made).requests(Window(1_234, 10_000)))) == {
        "__name__=up": [(5_000, 1.0), (10_000, 2.0)]
    }


def test_an_export_of_victoriametrics_is_split_by_time_when_it_is_too_large() -> None:
    def answer(_path: str, parameters: dict[str, str]) -> Any:
        start_ms, end_ms = (round(float(parameters[key]) * 1000) for key in ("start", "end"))
        if end_ms - start_ms > 50_000:
            raise TooLarge("too much", reason="response_too_large")
        times = [each for each in range(0, 200_000, 1000) if start_ms <= each <= end_ms]
        line = {"metric": {"__name__": "up"}, "values": [1, None, *[2] * (len(times) - 2)], "timestamps": times}
        return json.dumps(line).encode() + b"\n\n" + json.dumps(line | {"metric": {}}).encode()

    made, _ = asker(answer)
    found = samples_of(list(VictoriaMetrics(PullConfig(url="http://x"), made).requests(Window(0, 100_000))))
    times = [time for time, _ in found["__name__=up"]]
    assert times == sorted(set(times))
    assert times[0] == 1000
    assert times[-1] == 100_000


class ServedLoki:
    """Lines at given times, given out as Loki does: from `start` on, not at `end`, at most `limit`."""

    def __init__(self, times_ns: list[int]) -> None:
        self.lines = [(time_ns, f"line {number}") for number, time_ns in enumerate(times_ns)]

    def __call__(self, path: str, parameters: dict[str, str]) -> Any:
        if path.endswith("/labels"):
            return ["pod", "job"]
        assert parameters["query"] == '{job=~".+"}'
        start_ns, end_ns, limit = (int(parameters[key]) for key in ("start", "end", "limit"))
        page = [line for line in self.lines if start_ns <= line[0] < end_ns][:limit]
        values = [[str(time_ns), text, {"structuredMetadata": {"user": "7"}}] for time_ns, text in page]
        return {"resultType": "streams", "result": [{"stream": {"job": "shop/cart"}, "values": values}]}


@pytest.mark.parametrize(
    "times_ns",
    [
        [number * 10**6 for number in range(1, 12_000)],
        [5 * 10**6] * 12_000,
        [*range(10**6, 10**6 + 4_999), *[2 * 10**6] * 6_000, *range(3 * 10**6, 3 * 10**6 + 10)],
    ],
    ids=["spread", "one moment", "mixed"],
)
def test_every_line_of_a_loki_comes_once(times_ns: list[int], bench: Bench) -> None:
    made, _ = asker(ServedLoki(times_ns))
    requests = list(Loki(PullConfig(url="http://x"), made).requests(Window(0, 20_000)))
    receive(bench, requests)
    rows = bench.rows(FrameKind.LOGS)
    assert sorted(int(row["body"][5:]) for row in rows) == list(range(len(times_ns)))
    assert {row["entity"] for row in rows} == {"service:cart"}
    assert {orjson.loads(row["attributes"])["user"] for row in rows} == {"7"}


def test_a_query_that_gives_numbers_is_refused() -> None:
    made, _ = asker(lambda _path, _parameters: {"resultType": "matrix", "result": []})
    with pytest.raises(DecodeError, match="ask for lines"):
        list(Loki(PullConfig(url="http://x", match="rate({a=~'.+'}[1m])"), made).requests(Window(0, 1000)))


def receive(bench: Bench, requests: list[Request]) -> None:
    """Give requests to our own receivers."""
    for request in requests:
        dialect = next(each for each in bench.ingest.dialects if each.path == request.path)
        where = Origin(tenant="main", lane=Lane.BACKFILL, time_ns=NOW_NS)
        assert dialect.receive(Payload(body=request.body, media=request.media, origin=where)).status_code < 300


def imported(bench: Bench, path: Path, **config: Any) -> int:
    """Import a file into the bench; gives the size it has read at the end."""
    file = ImportedFile(path, FileImport(**config), NOW_NS)
    pieces = list(file.pieces())
    receive(bench, [piece.request for piece in pieces])
    assert pieces[-1].done == file.total
    return file.total


def test_a_wide_table_is_a_metric_a_column_sorted_by_time(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text(
        "time,host,cpu,mem\n2026-01-01T00:00:10Z,a,2,20\n2026-01-01T00:00:00Z,a,1,\n2026-01-01T00:00:00Z,b,5,50\n"
    )
    imported(bench, path, service="shop")
    start = 1767225600 * 10**9
    assert bench.samples() == {
        ("cpu", (("host", "a"), ("job", "shop"))): [(start, 1.0), (start + 10 * 10**9, 2.0)],
        ("cpu", (("host", "b"), ("job", "shop"))): [(start, 5.0)],
        ("mem", (("host", "a"), ("job", "shop"))): [(start + 10 * 10**9, 20.0)],
        ("mem", (("host", "b"), ("job", "shop"))): [(start, 50.0)],
    }


def test_a_long_table_is_a_sample_a_row(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "long.parquet"
    times = pa.array([1_767_225_600_000_000, 1_767_225_601_000_000], pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"ts": times, "metric": ["a", "b"], "value": [1, 2], "zone": ["x", None]}), path)
    imported(bench, path)
    assert set(bench.samples()) == {("a", (("zone", "x"),)), ("b", ())}


def test_json_lines_are_logs_samples_or_an_export(bench: Bench, tmp_path: Path) -> None:
    logs = tmp_path / "logs.jsonl.gz"
    logs.write_bytes(gzip.compress(b'{"ts":"2026-01-01T00:00:00Z","msg":"one","level":"warn"}\nnot json\n'))
    imported(bench, logs, service="cart")
    assert [(row["body"], row["severity"], row["entity"]) for row in bench.rows(FrameKind.LOGS)] == [
        ("one", 13, "service:cart"),
        ("not json", 0, "service:unknown"),
    ]
    points = tmp_path / "points.jsonl"
    points.write_text('{"time":1767225600,"metric":"a","value":1.5,"labels":{"job":"x"}}\n')
    imported(bench, points)
    export = tmp_path / "export.jsonl"
    export.write_text('{"metric":{"__name__":"b"},"values":[1,2],"timestamps":[1767225600000,1767225601000]}\n')
    imported(bench, export)
    found = bench.samples()
    assert found["a", (("job", "x"),)] == [(1767225600 * 10**9, 1.5)]
    assert len(found["b", ()]) == 2


def test_lists_are_labels_and_large_whole_numbers_are_values(bench: Bench, tmp_path: Path) -> None:
    points = tmp_path / "points.jsonl"
    points.write_text(
        '{"time":1767225600,"metric":"a","value":1,"zones":["x","y"]}\n{"time":1767225601,"metric":"a","value":2,"zones":[]}\n'
    )
    imported(bench, points)
    table = tmp_path / "table.csv"
    table.write_text("time,bytes\n1767225600,99999999999999992\n")
    imported(bench, table)
    found = bench.samples()
    assert found["a", (("zones", '["x","y"]'),)] == [(1767225600 * 10**9, 1.0)]
    assert found["a", ()] == [(1767225601 * 10**9, 2.0)]
    assert found["bytes", ()] == [(1767225600 * 10**9, 1e17)]


def test_log_text_and_tables_of_logs_keep_their_times(bench: Bench, tmp_path: Path) -> None:
    text = tmp_path / "cart.log"
    text.write_text("2026-01-01 00:00:00 ERROR no\n\n2026-01-01 00:00:01 INFO yes\n")
    imported(bench, text)
    table = tmp_path / "table.csv"
    table.write_text("when,text\n2026-01-01T00:00:02Z,from a table\n")
    imported(bench, table, kind="logs", time="when", body="text", service="cart")
    rows = bench.rows(FrameKind.LOGS)
    assert [(row["time_ns"] // 10**9 - 1767225600, row["entity"], row["severity"]) for row in rows] == [
        (0, "service:cart", 17),
        (1, "service:cart", 9),
        (2, "service:cart", 0),
    ]


def test_an_import_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("time,value\n" + "".join(f"{1767225600 + number},{number}\n" for number in range(120_000)))
    whole = list(ImportedFile(path, FileImport(metric="m"), NOW_NS).pieces())
    rest = list(ImportedFile(path, FileImport(metric="m"), NOW_NS).pieces(whole[0].done))
    assert [piece.done for piece in whole] == [50_000, 100_000, 120_000]
    assert rest == whole[1:]


@pytest.mark.parametrize(
    ("text", "config", "wrong"),
    [
        ("a,b\n1,2\n", {}, "name the time column"),
        ("time,b\n1,x\n", {}, "no numeric column"),
        ("time,b\n1,x\n", {"value": "b"}, "is no numeric column"),
    ],
)
def test_a_table_that_does_not_say_what_it_holds_is_refused(
    tmp_path: Path, text: str, config: dict[str, str], wrong: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=wrong):
        list(ImportedFile(path, FileImport(**config), NOW_NS).pieces())  # type: ignore[arg-type]  # settings by name


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a file"):
        ImportedFile(tmp_path / "none.csv", FileImport(), NOW_NS)
    (tmp_path / "x.parquet").write_bytes(b"nothing")
    with pytest.raises(DecodeError, match="cannot be read"):
        ImportedFile(tmp_path / "x.parquet", FileImport(), NOW_NS)
    (tmp_path / "x.log.gz").write_bytes(gzip.compress(b"x" * 10_000)[:-20])
    (tmp_path / "mixed.jsonl").write_text('{"time":1,"value":1,"metric":"a"}\n{"time":1,"value":"x","metric":"a"}\n')
    with pytest.raises(DecodeError, match="do not make a table"):
        list(ImportedFile(tmp_path / "mixed.jsonl", FileImport(), NOW_NS).pieces())
    deep = '{"time":1767225600,"metric":"a","value":1,"zones":' + "[" * 300 + "1" + "]" * 300 + "}"
    (tmp_path / "deep.jsonl").write_text(deep)
    with pytest.raises(DecodeError, match="cannot be written as JSON"):
        list(ImportedFile(tmp_path / "deep.jsonl", FileImport(), NOW_NS).pieces())
    with pytest.raises(DecodeError, match="cannot be read on"):
        list(ImportedFile(tmp_path / "x.log.gz", FileImport(), NOW_NS).pieces())
