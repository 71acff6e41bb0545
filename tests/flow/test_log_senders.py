"""Programs that people run already send logs and metrics to a real server: what arrives is stored or counted."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conservation import Account
from tests.flow.receiving import Receiving, receiving
from tests.flow.test_prometheus import running
from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Item
from twofold.aiops.ingest.sockets.config import StatsdListener, SyslogListener, Transport
from twofold.errors import Overloaded
from twofold.records.frame import FrameKind

LOGGER = shutil.which("logger")
needs_logger = pytest.mark.skipif(LOGGER is None, reason="needs `logger` (util-linux, bsdutils) on PATH")


def syslog(folder: Path, transport: Transport, **settings: Any) -> Any:
    """A server with one syslog listener on a free port."""
    return receiving(folder, IngestConfig(syslog=(SyslogListener(transport=transport, port=0, **settings),)))


def lines(server: Receiving) -> list[dict[str, Any]]:
    return [row | {"attributes": orjson.loads(row["attributes"])} for row in server.rows(FrameKind.LOGS)]


def logger(server: Receiving, *arguments: str) -> None:
    """Run the real `logger` against the listener."""
    assert LOGGER
    port = str(server.ingest.sockets.ports[0])
    subprocess.run([LOGGER, "--server", "127.0.0.1", "--port", port, *arguments], check=True, timeout=20)


@needs_logger
@pytest.mark.parametrize("form", ["--rfc5424", "--rfc3164"])
@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
def test_logger_speaks_both_standards_over_both_transports(tmp_path: Path, transport: Transport, form: str) -> None:
    with syslog(tmp_path, transport) as server:
        way = ["--udp"] if transport is Transport.UDP else ["--tcp"]
        logger(server, *way, form, "--tag", "cart", "--priority", "local0.err", "card declined: 7")
        server.eventually(lambda: len(lines(server)) == 1)
        (row,) = lines(server)
        assert (row["entity"], row["severity"], row["body"]) == ("service:cart", 17, "card declined: 7")
        assert row["attributes"]["syslog.facility"] == "local0"
        assert row["attributes"]["host.name"] == socket.gethostname().partition(".")[0] or form == "--rfc5424"


@needs_logger
def test_logger_counts_octets_and_sends_structured_data(tmp_path: Path) -> None:
    with syslog(tmp_path, Transport.TCP) as server:
        said = ["--sd-id", "shop@32473", "--sd-param", 'cart="7"']
        logger(server, "--tcp", "--rfc5424", "--octet-count", "--tag", "cart", *said, "one\ttwo")
        server.eventually(lambda: len(lines(server)) == 1)
        (row,) = lines(server)
        assert (row["body"], row["attributes"]["shop@32473.cart"]) == ("one\ttwo", "7")


@needs_logger
def test_a_file_sent_by_logger_arrives_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("".join(f"line {number}\n" for number in range(2_000)))
    with syslog(tmp_path, Transport.TCP) as server:
        logger(server, "--tcp", "--tag", "cart", "--file", str(tmp_path / "lines"))
        server.eventually(lambda: len(lines(server)) == 2_000)
        assert [row["body"] for row in lines(server)] == [f"line {number}" for number in range(2_000)]


RSYSLOGD = shutil.which("rsyslogd", path=f"{os.defpath}:/usr/sbin:/sbin")
RSYSLOG_CONF = """
global(workDirectory="{folder}")
module(load="imfile")
module(load="imuxsock" SysSock.Use="off")
input(type="imfile" file="{folder}/app.log" tag="cart:" severity="warning" facility="local3")
action(type="omfwd" target="127.0.0.1" port="{port}" protocol="{protocol}" template="{template}" {more})
"""


@pytest.mark.skipif(RSYSLOGD is None, reason="needs the Debian package rsyslog")
@pytest.mark.parametrize(
    ("protocol", "template", "more"),
    [
        ("udp", "RSYSLOG_TraditionalForwardFormat", ""),
        ("tcp", "RSYSLOG_ForwardFormat", ""),
        ("tcp", "RSYSLOG_SyslogProtocol23Format", 'TCP_Framing="octet-counted"'),
    ],
)
def test_rsyslog_forwards_in_each_of_its_forms(tmp_path: Path, protocol: str, template: str, more: str) -> None:
    assert RSYSLOGD
    with syslog(tmp_path, Transport(protocol)) as server:
        words = {"folder": tmp_path, "port": server.ingest.sockets.ports[0], "protocol": protocol}
        (tmp_path / "rsyslog.conf").write_text(RSYSLOG_CONF.format(**words, template=template, more=more))
        (tmp_path / "app.log").write_text("".join(f"order {number} is late\n" for number in range(200)))
        with running(tmp_path, RSYSLOGD, "-n", "-f", str(tmp_path / "rsyslog.conf"), "-i", str(tmp_path / "pid")):
            server.eventually(lambda: len([row for row in lines(server) if row["entity"] == "service:cart"]) == 200)
        rows = [row for row in lines(server) if row["entity"] == "service:cart"]
        assert [row["body"].strip() for row in rows] == [f"order {number} is late" for number in range(200)]
        assert {(row["severity"], row["attributes"]["syslog.facility"]) for row in rows} == {(13, "local3")}
        now_ns = time.time_ns()
        zoned = template != "RSYSLOG_TraditionalForwardFormat"  # else it is in the zone of this machine
        assert all(abs(now_ns - row["time_ns"]) < 120 * 10**9 for row in rows) or not zoned


OMELASTICSEARCH = next(Path("/usr/lib").glob("*/rsyslog/omelasticsearch.so"), None)
BULK_CONF = """
global(workDirectory="{folder}")
module(load="imfile")
module(load="imuxsock" SysSock.Use="off")
module(load="omelasticsearch")
template(name="document" type="list" option.json="on") {{
  constant(value="{{\\"@timestamp\\":\\"") property(name="timereported" dateFormat="rfc3339")
  constant(value="\\",\\"message\\":\\"") property(name="msg")
  constant(value="\\",\\"level\\":\\"") property(name="syslogseverity-text")
  constant(value="\\",\\"service\\":{{\\"name\\":\\"") property(name="programname") constant(value="\\"}}}}")
}}
input(type="imfile" file="{folder}/app.log" tag="cart:" severity="warning")
action(type="omelasticsearch" server="{url}/elasticsearch" template="document" searchIndex="logs" searchType=""
       bulkmode="on" errorFile="{folder}/errors" action.resumeRetryCount="-1" queue.dequeueBatchSize="50")
"""


@pytest.mark.skipif(
    RSYSLOGD is None or OMELASTICSEARCH is None, reason="needs the Debian package rsyslog-elasticsearch"
)
def test_rsyslog_takes_us_for_an_elasticsearch(tmp_path: Path) -> None:
    assert RSYSLOGD
    with receiving(tmp_path) as server:
        (tmp_path / "rsyslog.conf").write_text(BULK_CONF.format(folder=tmp_path, url=server.url))
        (tmp_path / "app.log").write_text("".join(f'order "{number}" is late\n' for number in range(200)))
        with running(tmp_path, RSYSLOGD, "-n", "-f", str(tmp_path / "rsyslog.conf"), "-i", str(tmp_path / "pid")):
            server.eventually(lambda: len([row for row in lines(server) if row["entity"] == "service:cart"]) == 200)
        rows = [row for row in lines(server) if row["entity"] == "service:cart"]
        assert sorted(row["body"] for row in rows) == sorted(f'order "{number}" is late' for number in range(200))
        assert {row["severity"] for row in rows} == {13}
        assert not (tmp_path / "errors").exists(), "every item was answered as one that is stored"


def certificates(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


def send_tls(server: Receiving, data: bytes, certificate: Path, key: Path | None = None) -> None:
    context = ssl.create_default_context(cafile=str(certificate))
    if key is not None:
        context.load_cert_chain(certificate, key)
    with (
        socket.create_connection(("127.0.0.1", server.ingest.sockets.ports[0])) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        secure.sendall(data)
        secure.unwrap()


def test_syslog_over_tls_asks_its_senders_for_a_certificate(tmp_path: Path) -> None:
    certificate, key = certificates(tmp_path)
    files = {"certificate": certificate, "key": key, "clients": certificate}
    with syslog(tmp_path, Transport.TLS, **files) as server:
        message = b"<13>1 2026-01-01T00:00:00Z h cart - - - hello"
        send_tls(server, b"%d %s" % (len(message), message), certificate, key)
        server.eventually(lambda: len(lines(server)) == 1)
        with pytest.raises((ssl.SSLError, OSError)):
            send_tls(server, message + b"\n", certificate)
        assert [row["body"] for row in lines(server)] == ["hello"]


def test_many_datagrams_are_stored_or_counted_as_dropped(tmp_path: Path) -> None:
    with syslog(tmp_path, Transport.UDP) as server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(("127.0.0.1", server.ingest.sockets.ports[0]))
            for number in range(20_000):
                sender.send(b"<13>1 - h cart - - - line %d" % number)
        server.eventually(lambda: server.counts.total(Item.LOGS).received >= 20_000)
        total = server.counts.total(Item.LOGS)
        assert total.received == 20_000
        Account(received=20_000, stored=len(lines(server)), dropped=total.dropped).check()
        assert total.stored > 0


def test_a_full_journal_stops_the_stream_and_loses_nothing(tmp_path: Path) -> None:
    settings = {"queue_messages": 100}
    with syslog(tmp_path, Transport.TCP, **settings) as server:
        refused = Refusing(server)
        with socket.create_connection(("127.0.0.1", server.ingest.sockets.ports[0])) as sender:
            for start in range(0, 5_000, 100):
                sender.sendall(b"".join(b"<13>Nov 22 05:00:00 h cart: %d\n" % n for n in range(start, start + 100)))
            server.eventually(lambda: refused.times > 0)
            refused.over = True
        server.eventually(lambda: len(lines(server)) == 5_000)
        assert [row["body"] for row in lines(server)] == [str(number) for number in range(5_000)]
        assert not server.counts.total(Item.LOGS).rejected


class Refusing:
    """Makes a server's journal refuse what it is given, until it is over."""

    def __init__(self, server: Receiving) -> None:
        self.times = 0
        self.over = False
        append: Callable[..., Any] = server.journal.append

        def refusing(frames: Any) -> Any:
            if self.over:
                return append(frames)
            self.times += 1
            raise Overloaded("full")

        server.journal.append = refusing  # type: ignore[method-assign]  # a journal that is full for a while


def test_statsd_over_both_transports_adds_up_and_outlives_the_stop(tmp_path: Path) -> None:
    listeners = (
        StatsdListener(port=0, flush_s=0.2),
        StatsdListener(transport=Transport.TCP, port=0, flush_s=60),
    )
    with receiving(tmp_path, IngestConfig(statsd=listeners)) as server:
        udp, tcp = server.ingest.sockets.ports
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(100):
                sender.sendto(b"hits:1|c|#service:cart\ntook:5|ms|#service:cart", ("127.0.0.1", udp))
        with socket.create_connection(("127.0.0.1", tcp)) as stream:
            stream.sendall(b"late:1|c\nlate:2|c\nbroken\nlate:3|c")
        key = ("hits", (("service", "cart"),))
        server.eventually(lambda: sum(value for _, value in server.samples().get(key, [])) == 100)
        server.eventually(lambda: server.counts.total(Item.POINTS).rejected.total() == 1)
    # the interval of the stream ended with the server
    late = server.counts.total(Item.POINTS)
    assert (late.received, late.stored, late.rejected) == (204, 203, {"bad_line": 1})


def test_loki_clients_push_json_over_http(tmp_path: Path) -> None:
    with receiving(tmp_path) as server:
        body = {"streams": [{"stream": {"app": "cart"}, "values": [["1790000000000000000", "level=error no"]]}]}
        answer = httpx.post(
            f"{server.url}/loki/api/v1/push", content=json.dumps(body), headers={"content-type": "application/json"}
        )
        assert answer.status_code == 204
        (row,) = lines(server)
        assert (row["entity"], row["severity"]) == ("service:cart", 17)
