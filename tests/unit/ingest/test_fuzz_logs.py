"""Nothing that senders of logs, plain sockets, files or systems that are pulled from can say breaks a decoder."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests.unit.ingest.mutation import mutated, repeatable
from tests.unit.ingest.null import NOW_NS, Bench
from tests.unit.ingest.test_bulk import FILEBEAT, FLUENT_BIT, bulk
from tests.unit.ingest.test_fuzz import SECONDS
from tests.unit.ingest.test_loki import push
from tests.unit.ingest.test_pull import asker
from twofold.aiops.ingest.capture import Captured, shift
from twofold.aiops.ingest.files.tables import FileImport, ImportedFile
from twofold.aiops.ingest.files.text import TextReader
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.logs.lines import Lines
from twofold.aiops.ingest.pull.loki import Loki
from twofold.aiops.ingest.pull.prometheus import Prometheus, VictoriaMetrics
from twofold.aiops.ingest.pull.source import PullConfig, Window
from twofold.aiops.ingest.receiver import Payload
from twofold.aiops.ingest.sockets.batches import Arrived
from twofold.aiops.ingest.sockets.config import StatsdListener
from twofold.aiops.ingest.sockets.framing import Framer
from twofold.aiops.ingest.sockets.inlets import StatsdInlet
from twofold.aiops.ingest.sockets.syslog import SyslogParser
from twofold.errors import TwofoldError
from twofold.records.frame import Lane

SHARE: Final = 0.25  # of the time that a decoder of the wire gets: seven of these run in every test run
LATEST_NS: Final = NOW_NS + 600 * 10**9
PROTOBUF, JSON, NDJSON = "application/x-protobuf", "application/json", "application/x-ndjson"

PUSH = push('{app="cart", level="warn"}', (NOW_NS, "one"), (NOW_NS, "two", {"trace_id": "ab" * 16, "n": "1"}))
PUSH_JSON = {
    "streams": [{"stream": {"app": "cart"}, "values": [[str(NOW_NS), "one"], [str(NOW_NS), "two", {"level": "warn"}]]}]
}
SYSLOG = [
    b'<165>1 2003-10-11T22:14:15.003Z h evntslog 7 ID47 [a@1 x="y\\"z"][b@1 z="1"] \xef\xbb\xbfAn event',
    b"<34>Oct 11 22:14:15 mymachine su[12]: 'su root' failed",
    b"<13>2026-01-01T00:00:00.5+01:00 h app: x",
]
STATSD = [b"a.b:1:2|ms|@0.1|#env:prod,x", b"g:+1|g\nc:1|c", b"u:x|s", b"_e{1,2}:a|bc|d:1|#k:v", b"_sc|a|1|h:x|m:t"]
TEXT = [
    b"2026-01-01 00:00:00,123 +0100 ERROR x",
    b'1.2.3.4 - - [02/Jan/2026:03:04:05 +0100] "GET"',
    b"Jan  2 00:00:00 h a: x",
    b'{"time":1767225600.5,"msg":"x","level":30,"a":{"b":1}}',
    b"2026-01-01T00:00:00Z stderr F x",
]
MATRIX = b'{"status":"success","data":{"result":[{"metric":{"__name__":"a"},"values":[[5,"1.5"],[6,"NaN"]]}]}}'
STREAMS = (
    b'{"status":"success","data":{"resultType":"streams","result":[{"stream":{"a":"b"},'
    b'"values":[["7000000","x",{"structuredMetadata":{"u":"1"}}]]}]}}'
)
EXPORT = b'{"metric":{"__name__":"b"},"values":[1,null],"timestamps":[5000,6000]}\n'


def for_a_share(work: Callable[[bytes], object], corpus: list[bytes]) -> None:
    """Call `work` with mutated bodies; only errors of ours may come out."""
    chance = repeatable(5)
    deadline = time.monotonic() + SECONDS * SHARE
    while time.monotonic() < deadline:
        body = mutated(corpus, chance)
        try:
            work(body)
        except TwofoldError:
            continue
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} from {body!r}") from error


@pytest.mark.parametrize(
    ("path", "media", "corpus"),
    [
        ("/loki/api/v1/push", PROTOBUF, [PUSH.SerializeToString()]),
        ("/loki/api/v1/push", JSON, [orjson.dumps(PUSH_JSON)]),
        ("/elasticsearch/_bulk", NDJSON, [bulk(FILEBEAT, FLUENT_BIT), bulk({"msg": "x", "time": 1}, action="index")]),
    ],
)
def test_a_receiver_of_logs_survives_any_bytes(bench: Bench, path: str, media: str, corpus: list[bytes]) -> None:
    dialect: Any = next(each for each in bench.ingest.dialects if each.path == path)
    origin = Origin(tenant="main", lane=Lane.LIVE, time_ns=NOW_NS)

    def work(body: bytes) -> None:
        answer = dialect.receive(Payload(body=body, media=media, origin=origin))
        assert answer.status_code < 500
        if answer.status_code < 300:
            shift(
                Captured(path=path, media=media, body=body, time_ns=NOW_NS), 10**9
            )  # what was accepted can be replayed
        bench.journal.frames.clear()
        bench.journal.calls.clear()

    for_a_share(work, corpus)


def test_syslog_survives_any_stream() -> None:
    parser = SyslogParser("Europe/Berlin")

    def work(body: bytes) -> None:
        framer, lines = Framer(200), Lines()
        messages = [each for at in range(0, len(body), 33) for each in framer.feed(body[at : at + 33])]
        messages += framer.close()
        parser.parse(messages, lines, peer="10.0.0.1", now_ns=NOW_NS, latest_ns=LATEST_NS)
        _, outcome = lines.batch(NOW_NS, LATEST_NS)
        assert outcome.received == outcome.stored == len(messages)

    for_a_share(work, [*SYSLOG, b"\n".join(SYSLOG), b"".join(b"%d %s" % (len(each), each) for each in SYSLOG)])


def test_statsd_survives_any_datagram(bench: Bench) -> None:
    intake = Intake(bench.journal, bench.catalog, bench.counts, bench.config, lambda: NOW_NS)
    inlet = StatsdInlet(StatsdListener(forget_s=20), intake)

    def work(body: bytes) -> None:
        inlet._store([Arrived("127.0.0.1", NOW_NS, [body])])
        inlet.flush()
        bench.journal.frames.clear()
        bench.journal.calls.clear()

    for_a_share(work, STATSD)


def test_lines_of_files_survive_any_bytes(tmp_path: Path) -> None:
    def work(body: bytes) -> None:
        lines = Lines()
        TextReader("Europe/Berlin", NOW_NS, LATEST_NS).read(body.split(b"\n"), lines, service="x", path="/x")
        assert lines.batch(NOW_NS, LATEST_NS)[1].stored == body.count(b"\n") + 1
        for name in ("x.jsonl", "x.csv"):
            path = tmp_path / name
            path.write_bytes(body)
            list(ImportedFile(path, FileImport(), NOW_NS).pieces())

    for_a_share(work, [*TEXT, b"\n".join(TEXT), b"time,a,b\n2026-01-01,1,x\n5,2,y\n", EXPORT])


def test_answers_of_other_systems_may_be_anything() -> None:
    config = PullConfig(url="http://x")
    window = Window(0, 20_000)

    def work(body: bytes) -> None:
        made, _ = asker(lambda path, _: ["a"] if path.endswith(("/values", "/labels")) else body)
        for source in (Prometheus(config, made), Loki(config, made), VictoriaMetrics(config, made)):
            try:
                list(source.requests(window))
            except TwofoldError:
                continue

    for_a_share(work, [MATRIX, STREAMS, EXPORT])
