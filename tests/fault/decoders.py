"""Everything that reads bytes from outside, each with good examples and what must hold for any bytes.

A decoder may refuse with an error of ours; whatever else it raises is a fault. The walkers are held against
protobuf besides: what they decode, it decodes alike.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cramjam
import orjson
import prometheus_client as prom
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics

from tests.telemetry import logs_frame, samples_frame
from tests.unit.ingest import (
    test_bulk,
    test_events,
    test_predictions,
    test_remote_write2,
    test_scrape,
    test_walk,
    test_walk_logs,
    test_walk_spans,
    test_webhooks_alerts,
    test_webhooks_cloudevents,
    test_webhooks_git,
)
from tests.unit.ingest.messages import (
    DELTA,
    gauge,
    histogram,
    logs_request,
    metrics_request,
    span,
    total,
    traces_request,
    write_request,
)
from tests.unit.ingest.null import NOW_NS, Bench, NullCatalog
from tests.unit.ingest.test_loki import push
from tests.unit.ingest.test_pull import asker
from twofold.aiops.ingest.body import Budget, decompress
from twofold.aiops.ingest.capture import Captured, shift
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.exemplars import Exemplars
from twofold.aiops.ingest.files.tables import FileImport, ImportedFile
from twofold.aiops.ingest.files.text import TextReader
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.intake import Intake
from twofold.aiops.ingest.logs.lines import Lines
from twofold.aiops.ingest.prometheus import exposition, remote_write2
from twofold.aiops.ingest.prometheus.remote_write2 import MEDIA as MEDIA_2
from twofold.aiops.ingest.pull.loki import Loki
from twofold.aiops.ingest.pull.prometheus import Prometheus, VictoriaMetrics
from twofold.aiops.ingest.pull.source import PullConfig, Window
from twofold.aiops.ingest.receiver import Payload
from twofold.aiops.ingest.rows import Rows
from twofold.aiops.ingest.series import SeriesIndex
from twofold.aiops.ingest.sockets.batches import Arrived
from twofold.aiops.ingest.sockets.config import StatsdListener
from twofold.aiops.ingest.sockets.framing import Framer
from twofold.aiops.ingest.sockets.inlets import StatsdInlet
from twofold.aiops.ingest.sockets.syslog import SyslogParser
from twofold.errors import DecodeError, TwofoldError
from twofold.mlops.serve import protocol
from twofold.records.frame import FrameKind, Lane
from twofold.records.model import Field
from twofold.store.backup import manifest
from twofold.store.catalog.lines import Lines as CatalogLines
from twofold.store.journal.codec import decode_frame, decode_payload, encode_frame
from twofold.store.promql.limits import Limits
from twofold.store.promql.parse import parse as parse_promql

LATEST_NS: Final = NOW_NS + 600 * 10**9
PROTOBUF, JSON, NDJSON = "application/x-protobuf", "application/json", "application/x-ndjson"
Work = Callable[[bytes], object]


@dataclass(frozen=True)
class Decoder:
    """Good examples, and what is done with any bytes."""

    corpus: Sequence[bytes]
    work: Work


@dataclass(frozen=True)
class Received:
    """A receiver's path, and bodies that it takes."""

    path: str
    media: str
    corpus: Sequence[bytes]
    headers: dict[str, str] = field(default_factory=dict)

    def decoder(self) -> Decoder:
        """Its receiver over stores in memory; no answer says that the fault is ours, and P5 holds after each."""
        bench = Bench()
        dialect: Any = next(each for each in bench.ingest.dialects if each.path == self.path)
        for each in (getattr(dialect, name, None) for name in ("known", "short")):
            if each is not None:
                each.compile()
        origin = Origin(tenant="main", lane=Lane.LIVE, time_ns=NOW_NS)

        def work(body: bytes) -> None:
            answer = dialect.receive(Payload(body=body, media=self.media, origin=origin, headers=self.headers))
            assert answer.status_code < 500
            assert not bench.counts.imbalance()
            if answer.status_code < 300:  # what was accepted can be replayed
                shift(
                    Captured(path=self.path, media=self.media, body=body, time_ns=NOW_NS, headers=self.headers), 10**9
                )
            bench.journal.frames.clear()
            bench.journal.calls.clear()
            bench.catalog.series.clear()

        return Decoder(self.corpus, work)


METRICS = metrics_request(
    gauge("a", 1.0, x="y"), total("t", 3), histogram("h", [0.1, 1.0], [1, 2, 3], 4.0), scope="lib"
)
LOGS = logs_request("one", "two")
TRACES = traces_request(span("GET /", status=2, http__response__status_code=500))
WRITE = write_request(({"__name__": "up", "job": "x"}, [(NOW_NS // 10**6, 1.0), (5, float("nan"))]))
CHANGE = {"kind": "deploy", "service": "cart", "version": "1", "time": "2026-01-01T00:00:00Z", "attributes": {"a": [1]}}
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
INFER = {
    "id": "1",
    "inputs": [
        {"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [[1.0], [2.0]]},
        {"name": "word", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]},
    ],
}
INPUTS = [Field(name="x", datatype="FP64"), Field(name="word", datatype="BYTES")]
QUERIES = [
    b'sum by (job) (rate(a{b=~"c.*",d!="e"}[5m] offset 1h)) / on(x) group_left(y) b > bool 1e3',
    b'histogram_quantile(0.9, sum(rate(a_bucket[1m:5s] @ 7)) by (le)) unless topk(3, -{__name__="x"} ^ 2)',
]


def scaled() -> ExportMetricsServiceRequest:
    """The kinds of points that the short way does not take, with an exemplar."""
    powers, summary = Metric(name="e"), Metric(name="s")
    powers.exponential_histogram.aggregation_temporality = DELTA  # type: ignore[assignment]  # an enum's number
    point = powers.exponential_histogram.data_points.add(
        time_unix_nano=NOW_NS, start_time_unix_nano=NOW_NS - 1, scale=3
    )
    point.positive.offset = -2
    point.positive.bucket_counts.extend([1, 2])
    point.negative.bucket_counts.append(1)
    point.exemplars.add(trace_id=b"x" * 16, as_double=1.0, time_unix_nano=NOW_NS)
    summary.summary.data_points.add(time_unix_nano=NOW_NS, count=1).quantile_values.add(quantile=0.5, value=1.0)
    return metrics_request(powers, summary)


def native(version: int = 1) -> Any:
    """A request with a histogram of each schema."""
    writer = test_remote_write2.Writer()
    labels = {"__name__": "took", "job": "x"}
    made: Any = writer.request if version == 2 else write_request((labels, []))
    series = writer.series(labels, kind=3) if version == 2 else made.timeseries[0]
    for schema in (-53, 3):
        one = series.histograms.add(timestamp=NOW_NS // 10**6, count_int=3, sum=1.0, schema=schema)
        one.positive_spans.add(offset=0, length=2)
        one.positive_deltas.extend([1, 1])
        one.custom_values.extend([1.0, 2.0])
    return made


def as_json(*bodies: Any) -> list[bytes]:
    return [json.dumps(body).encode() for body in bodies]


def _walker(way: test_walk.Way, corpus: Sequence[bytes]) -> Decoder:
    """Metrics of known series: the compiled way gives what the validated one gives, or nothing."""

    def work(body: bytes) -> None:
        walked = way.known.walk(body)
        if walked is None:
            return
        try:
            expected = way.validated(body)
        except DecodeError:  # a hash covers bytes that nobody checked before; nor does any walker look at exemplars
            return
        assert len(expected.sid) == walked.count or expected.rejected or expected.dropped
        way.known.learn(walked, expected, "main")
        found: Rows | None = way.known.rows(walked, "main")
        if found is not None and not expected.rejected:
            test_walk.assert_equal(found, expected)

    return Decoder(corpus, work)


class _Way2(test_walk.Way):
    """Both ways of remote write 2.0; a histogram makes the validated one refuse what the walker gives up on."""

    def __init__(self) -> None:
        super().__init__("write2")
        self._found = SeriesIndex(NullCatalog())

    def validated(self, body: bytes) -> Rows:
        exemplars = Exemplars("main", LATEST_NS)
        decoded = remote_write2.decoded(remote_write2.parse(body), self._found, "main", exemplars)
        assert decoded.histograms is None
        return decoded.samples


def _ways(way: Any, equal: Callable[[Any, Any], None], corpus: Sequence[bytes]) -> Decoder:
    """Lines or spans: as `_walker`."""

    def work(body: bytes) -> None:
        found = way.short(body)
        if found is None:
            return
        try:
            expected = way.validated(body)
        except ProtobufError as error:
            raise AssertionError(f"protobuf refuses what was walked: {body.hex()}") from error
        equal(found, expected)

    return Decoder(corpus, work)


def _decompression() -> Decoder:
    """The first byte says by what."""
    body = METRICS.SerializeToString() * 20
    packed = (gzip.compress(body), zlib.compress(body), cramjam.zstd.compress(body), cramjam.snappy.compress_raw(body))
    encodings = ("gzip", "deflate", "zstd", "snappy")
    budget = Budget(1 << 30)

    def work(broken: bytes) -> None:
        if broken:
            try:
                with budget.claim() as claim:
                    decompress(broken[1:], encodings[broken[0] % 4], IngestConfig(), claim)
            finally:
                assert budget.used == 0

    return Decoder([bytes([number]) + bytes(each) for number, each in enumerate(packed)], work)


def _scrape() -> Decoder:
    text = open_metrics(test_scrape.registry())  # type: ignore[no-untyped-call]  # the library's own
    pointed = b'{"a.b",c="d"} 1 1.5 # {trace_id="ab"} 2 3\n# EOF\n'
    return Decoder([prom.generate_latest(test_scrape.registry()), text, pointed], exposition.parse)


def _syslog() -> Decoder:
    parser = SyslogParser("Europe/Berlin")

    def work(body: bytes) -> None:
        framer, lines = Framer(200), Lines()
        messages = [each for at in range(0, len(body), 33) for each in framer.feed(body[at : at + 33])]
        messages += framer.close()
        parser.parse(messages, lines, peer="10.0.0.1", now_ns=NOW_NS, latest_ns=LATEST_NS)
        _, outcome = lines.batch(NOW_NS, LATEST_NS)
        assert outcome.received == outcome.stored == len(messages)

    return Decoder([*SYSLOG, b"\n".join(SYSLOG), b"".join(b"%d %s" % (len(each), each) for each in SYSLOG)], work)


def _statsd() -> Decoder:
    bench = Bench()
    intake = Intake(bench.journal, bench.catalog, bench.counts, bench.config, lambda: NOW_NS)
    inlet = StatsdInlet(StatsdListener(forget_s=20), intake)

    def work(body: bytes) -> None:
        inlet._store([Arrived("127.0.0.1", NOW_NS, [body])])
        inlet.flush()
        bench.journal.frames.clear()
        bench.journal.calls.clear()

    return Decoder(STATSD, work)


def _lines() -> Decoder:
    def work(body: bytes) -> None:
        lines = Lines()
        TextReader("Europe/Berlin", NOW_NS, LATEST_NS).read(body.split(b"\n"), lines, service="x", path="/x")
        assert lines.batch(NOW_NS, LATEST_NS)[1].stored == body.count(b"\n") + 1

    return Decoder([*TEXT, b"\n".join(TEXT)], work)


def _tables(name: str) -> Decoder:
    """A file to import, written anew for each body."""
    folder = Path(tempfile.mkdtemp())
    path = folder / name

    def work(body: bytes) -> None:
        path.write_bytes(body)
        list(ImportedFile(path, FileImport(), NOW_NS).pieces())

    return Decoder([EXPORT, TEXT[3], b"time,a,b\n2026-01-01,1,x\n5,2,y\n"], work)


def _answers(kind: type[Prometheus | Loki | VictoriaMetrics]) -> Decoder:
    config, window = PullConfig(url="http://x"), Window(0, 20_000)

    def work(body: bytes) -> None:
        made, _ = asker(lambda path, _: ["a"] if path.endswith(("/values", "/labels")) else body)
        list(kind(config, made).requests(window))

    return Decoder([MATRIX, STREAMS, EXPORT], work)


def _frames() -> Decoder:
    """What stands in a segment of the journal: whole frames that are what they were, or none."""
    made = [b"".join(encode_frame(each)) for each in (logs_frame(["one", "two"]), samples_frame([(1, NOW_NS, 1.0)]))]

    def work(data: bytes) -> None:
        frame = decode_frame(data, 0)
        if frame is not None and frame.kind in {FrameKind.LOGS, FrameKind.SAMPLES}:
            decode_payload(frame)

    return Decoder(made, work)


def _catalog() -> Decoder:
    folder = Path(tempfile.mkdtemp())
    path = folder / "series.jsonl"
    body = b'"main"\t7\t["a",{"b":"c"}]\t["service:x","","gauge","metric"]'
    line = b"%08x\t%b\n" % (zlib.crc32(body), body)

    def work(data: bytes) -> None:
        path.write_bytes(data)
        lines = CatalogLines(path)
        assert len(list(lines.read())) + lines.damaged == data.count(b"\n")

    return Decoder([line, line * 2], work)


def _manifest() -> Decoder:
    made = manifest.Manifest(
        created="2026-01-01T00:00:00Z",
        product="1",
        files=[manifest.Entry(path="a/b", size=1, sha256="00")],
        facts={"a": "b"},
    )
    return Decoder([made.encode()], manifest.decode)


def _promql() -> Decoder:
    limits = Limits()
    return Decoder(QUERIES, lambda body: parse_promql(body.decode(errors="replace"), limits))


RECEIVERS: Final = {
    "metrics": Received("/v1/metrics", PROTOBUF, [METRICS.SerializeToString(), scaled().SerializeToString()]),
    "logs": Received("/v1/logs", PROTOBUF, [LOGS.SerializeToString(), *test_walk_logs.corpus()]),
    "traces": Received("/v1/traces", PROTOBUF, [TRACES.SerializeToString(), *test_walk_spans.corpus()]),
    "metrics as JSON": Received("/v1/metrics", JSON, [MessageToJson(METRICS, indent=None).encode()]),
    "logs as JSON": Received("/v1/logs", JSON, [MessageToJson(LOGS, indent=None).encode()]),
    "traces as JSON": Received("/v1/traces", JSON, [MessageToJson(TRACES, indent=None).encode()]),
    "remote write": Received("/api/v1/write", PROTOBUF, [WRITE.SerializeToString(), native().SerializeToString()]),
    "remote write 2": Received("/api/v1/write", MEDIA_2, [test_remote_write2.corpus(), native(2).SerializeToString()]),
    "changes": Received("/v1/changes", JSON, as_json([CHANGE], CHANGE)),
    "predictions": Received("/v1/predictions", JSON, as_json([test_predictions.GOOD, test_predictions.GOOD])),
    "Loki": Received("/loki/api/v1/push", PROTOBUF, [PUSH.SerializeToString()]),
    "Loki as JSON": Received("/loki/api/v1/push", JSON, [orjson.dumps(PUSH_JSON)]),
    "bulk": Received(
        "/elasticsearch/_bulk",
        NDJSON,
        [
            test_bulk.bulk(test_bulk.FILEBEAT, test_bulk.FLUENT_BIT),
            test_bulk.bulk({"msg": "x", "time": 1}, action="index"),
        ],
    ),
    "Alertmanager": Received(
        "/webhooks/alertmanager",
        JSON,
        as_json(test_events.notice(test_events.alert(), test_events.alert(status="resolved"))),
    ),
    "Grafana": Received("/webhooks/grafana", JSON, as_json(test_webhooks_alerts.GRAFANA)),
    "PagerDuty": Received(test_webhooks_alerts.ENQUEUE, JSON, as_json(test_webhooks_alerts.TRIGGER)),
    "PagerDuty's changes": Received(test_webhooks_alerts.CHANGE_ENQUEUE, JSON, as_json(test_webhooks_alerts.CHANGE)),
    "Kubernetes": Received(
        "/webhooks/kubernetes", JSON, as_json(test_webhooks_alerts.BACKOFF, test_webhooks_alerts.SCALED)
    ),
    "CloudEvents": Received(
        test_webhooks_cloudevents.PATH,
        "application/cloudevents+json",
        as_json(
            test_webhooks_cloudevents.EXAMPLE, test_webhooks_cloudevents.cdevent(test_webhooks_cloudevents.DEPLOYED)
        ),
    ),
    "GitHub": Received(
        "/webhooks/github",
        JSON,
        as_json(test_webhooks_git.DEPLOYMENT_STATUS, test_webhooks_git.RELEASE),
        {"x-github-event": "deployment_status"},
    ),
    "GitHub's runs": Received(
        "/webhooks/github", JSON, as_json(test_webhooks_git.WORKFLOW_RUN), {"x-github-event": "workflow_run"}
    ),
    "GitLab": Received(
        "/webhooks/gitlab", JSON, as_json(test_webhooks_git.GITLAB_DEPLOYMENT, test_webhooks_git.GITLAB_PIPELINE)
    ),
    "Argo CD": Received("/webhooks/argocd", JSON, as_json(test_webhooks_git.ARGOCD)),
}

WALKERS: Final[dict[str, Callable[[], Decoder]]] = {
    "walker of metrics": lambda: _walker(test_walk.Way("otlp"), test_walk.corpus("otlp")),
    "walker of remote write": lambda: _walker(test_walk.Way("write"), test_walk.corpus("write")),
    "walker of remote write 2": lambda: _walker(_Way2(), [test_remote_write2.corpus()]),
    "walker of logs": lambda: _ways(test_walk_logs.Way(), test_walk_logs.assert_equal, test_walk_logs.corpus()),
    "walker of spans": lambda: _ways(test_walk_spans.Way(), test_walk_spans.assert_equal, test_walk_spans.corpus()),
}

DECODERS: Final[dict[str, Callable[[], Decoder]]] = {
    **{name: each.decoder for name, each in RECEIVERS.items()},
    **WALKERS,
    "decompression": _decompression,
    "scrape": _scrape,
    "syslog": _syslog,
    "StatsD": _statsd,
    "lines of files": _lines,
    "JSON lines": lambda: _tables("x.jsonl"),
    "CSV": lambda: _tables("x.csv"),
    "Prometheus's answers": lambda: _answers(Prometheus),
    "VictoriaMetrics's answers": lambda: _answers(VictoriaMetrics),
    "Loki's answers": lambda: _answers(Loki),
    "PromQL": _promql,
    "inference": lambda: Decoder(as_json(INFER), lambda body: protocol.columns(protocol.parse(body), INPUTS)),
    "journal": _frames,
    "catalog": _catalog,
    "manifest": _manifest,
}


def survives(work: Work, body: bytes) -> None:
    """Only errors of ours may come out."""
    try:
        work(body)
    except TwofoldError:
        return
