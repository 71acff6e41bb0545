"""Log lines a second of each protocol: decoded by one thread, and from its socket to the synced journal.

    python -m benchmarks.lines [--quick] [--json]

Lines are logfmt of about 130 bytes from 20 services; `decoded` is processor time of one thread from the request's
bytes to Arrow columns, severity found in the text where the protocol carries none. `stored` is wall time from the
first byte on a loopback socket to the last line in the journal, senders and receivers on the same cores; `a cpu
second` counts the processor time of all receiving threads; for UDP `kept` is the share that was not dropped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson

from twofold.aiops.ingest.config import IngestConfig
from twofold.aiops.ingest.counts import Counts, Item
from twofold.aiops.ingest.files.text import TextReader
from twofold.aiops.ingest.ingest import create_ingest
from twofold.aiops.ingest.logs.bulk import actions
from twofold.aiops.ingest.logs.documents import document
from twofold.aiops.ingest.logs.lines import Lines
from twofold.aiops.ingest.logs.loki import json_lines, protobuf_lines
from twofold.aiops.ingest.logs.message import PushRequest
from twofold.aiops.ingest.sockets.config import SyslogListener, Transport
from twofold.aiops.ingest.sockets.syslog import SyslogParser
from twofold.store.catalog.files import FileCatalog
from twofold.store.journal.segments import SegmentJournal

SERVICES: Final = 20
LATEST: Final = 1 << 62
QUIET_S: Final = 5.0  # what has not come after so long will not
LEVELS: Final = ("info", "info", "info", "info", "warn", "error")
SEND: Final = """
import socket, sys
kind, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
line = b"<14>1 - h svc%d 7 - - level=info msg=\\"request handled\\" path=/api/v1/items/%d status=200 took=0.123456s"
lines = [line % (n % 20, n) for n in range(1000)]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as out:
    out.connect(("127.0.0.1", port))
    for start in range(0, count, 1000):
        if kind == "udp":
            for each in lines: out.send(each)
        else:
            out.sendall(b"\\n".join(lines) + b"\\n")
"""
"""Sends from a process of its own."""


def line(number: int) -> str:
    """One line of a service."""
    level = LEVELS[number % len(LEVELS)]
    return (
        f'level={level} ts=2026-01-01T00:00:00Z caller=main.go:{number % 997} msg="request handled" '
        f"path=/api/v1/items/{number * 7919 % 10**9} status=200 took=0.{number % 10**6:06d}s"
    )


def decoders(count: int) -> dict[str, Callable[[], Lines]]:
    """Each protocol's way from bytes to lines."""
    push = PushRequest()
    streams = []
    for service in range(SERVICES):
        stream = push.streams.add(labels=f'{{app="svc{service}", namespace="shop"}}')
        values = []
        for number in range(count // SERVICES):
            entry = stream.entries.add(line=line(number).encode())
            entry.timestamp.add(seconds=1_767_225_600 + number, nanos=5)
            values.append([str((1_767_225_600 + number) * 10**9), line(number)])
        streams.append({"stream": {"app": f"svc{service}"}, "values": values})
    protobuf, as_json = push.SerializeToString(), orjson.dumps({"streams": streams})
    filebeat = b"".join(
        b'{"create":{}}\n%s\n'
        % orjson.dumps(
            {
                "@timestamp": "2026-01-01T00:00:00.123Z",
                "message": line(number),
                "service": {"name": f"svc{number % SERVICES}"},
                "host": {"name": "web1"},
                "log": {"file": {"path": "/var/log/x.log"}, "offset": number},
            }
        )
        for number in range(count)
    )
    new = [
        b"<14>1 2026-01-01T00:00:00.%03dZ web1 svc%d 7 - - %s" % (n % 1000, n % SERVICES, line(n).encode())
        for n in range(count)
    ]
    old = [b"<14>Jan  1 00:%02d:00 web1 svc%d[7]: %s" % (n % 60, n % SERVICES, line(n).encode()) for n in range(count)]
    text = [b"2026-01-01 00:00:00,%03d %s" % (n % 1000, line(n).encode()) for n in range(count)]
    return {
        "loki protobuf": lambda: protobuf_lines(protobuf),
        "loki json": lambda: json_lines(as_json),
        "elasticsearch bulk": lambda: bulk_lines(filebeat),
        "syslog rfc 5424": lambda: syslog_lines(new),
        "syslog rfc 3164": lambda: syslog_lines(old),
        "log file": lambda: text_lines(text),
    }


def bulk_lines(body: bytes) -> Lines:
    """As the receiver reads documents."""
    lines = Lines()
    for _, source in actions(body):
        document(orjson.loads(source)).into(lines)
    return lines


def syslog_lines(messages: list[bytes]) -> Lines:
    """As a listener reads a batch."""
    lines = Lines()
    SyslogParser().parse(messages, lines, peer="10.0.0.1", now_ns=time.time_ns(), latest_ns=LATEST)
    return lines


def text_lines(entries: list[bytes]) -> Lines:
    """As a followed file is read."""
    lines = Lines()
    TextReader("UTC", time.time_ns(), LATEST).read(entries, lines, service="x", path="/var/log/x.log")
    return lines


def decoded(work: Callable[[], Lines]) -> float:
    """Lines a second of processor time, the best of five."""
    best = float("inf")
    for _ in range(5):
        started = time.thread_time()
        batch, _ = work().batch(time.time_ns(), LATEST)
        best = min(best, (time.thread_time() - started) / batch.num_rows)
    return 1 / best


def stored(kind: Transport, count: int) -> tuple[float, float, float]:
    """Lines a second from the socket to the journal, lines a processor second, and the share that arrived there."""
    with tempfile.TemporaryDirectory() as folder:
        journal, counts = SegmentJournal(Path(folder) / "journal"), Counts()
        config = IngestConfig(syslog=(SyslogListener(transport=kind, port=0),), walker=False)
        ingest = create_ingest(journal, FileCatalog(Path(folder) / "catalog"), counts, config)
        begun = ended = 0.0
        used = time.process_time()

        async def run() -> None:
            nonlocal begun, ended
            await ingest.start()
            begun = ended = time.perf_counter()
            with sending(kind, ingest.sockets.ports[0], count):
                received = 0
                while received < count and time.perf_counter() - ended < QUIET_S:
                    await asyncio.sleep(0.05)
                    if (now := counts.total(Item.LOGS).received) != received:
                        received, ended = now, time.perf_counter()
            await ingest.stop()

        asyncio.run(run())
        used = time.process_time() - used
        journal.close()
        total = counts.total(Item.LOGS)
    return total.stored / (ended - begun), total.stored / used, total.stored / count


def sending(kind: Transport, port: int, count: int) -> subprocess.Popen[bytes]:
    """A sender in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", SEND, kind.value, str(port), str(count)])


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the lines")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    given = parser.parse_args()
    count = 20_000 if given.quick else 100_000
    found = {f"{name} decoded": decoded(work) for name, work in decoders(count).items()}
    for kind in (Transport.TCP, Transport.UDP):
        rate, per_cpu, kept = stored(kind, count * 10)
        found |= {f"syslog {kind} stored": rate, f"syslog {kind} a cpu second": per_cpu, f"syslog {kind} kept": kept}
    if given.json:
        print(json.dumps(found))
        return
    for key, value in found.items():
        print(f"{key:28}{value:>14,.2f}")


if __name__ == "__main__":
    main()
