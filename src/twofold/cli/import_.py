"""`twofold import`: history out of files and other systems, through the backfill lane, resumable."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, Self

import typer

from twofold.cli.client import Api, connect
from twofold.cli.output import Exit, fail
from twofold.cli.times import moment, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from twofold.aiops.ingest.pull.source import Request, Source

app = typer.Typer(name="import", help="Bring history in: from files, Prometheus, VictoriaMetrics or Loki.")

_BUSY: Final = (429, 503)
_PARTLY: Final = 400
_SHOWN: Final = 3

Since = Annotated[str, typer.Option(help="How far back (30m, 12h, 7d), or a time.")]
Until = Annotated[str, typer.Option(help="Until when: how long ago, or a time [now].")]
Window = Annotated[str, typer.Option(help="How much time a question covers.")]
Step = Annotated[str, typer.Option(help="One value a step instead of every sample.")]
Header = Annotated[list[str] | None, typer.Option("--header", help='Sent with each question: "Name: value".')]
Restart = Annotated[bool, typer.Option("--restart", help="Begin anew instead of where the last run stopped.")]
Address = Annotated[str, typer.Argument(help="Base address, such as http://localhost:9090.")]


@app.command("file")
def from_file(
    path: Annotated[Path, typer.Argument(help="JSON lines, CSV, Parquet or log text; .gz too.")],
    kind: Annotated[str, typer.Option(help="logs, samples, or auto.")] = "auto",
    time_column: Annotated[str, typer.Option("--time", help="Column of the time.")] = "",
    value: Annotated[str, typer.Option(help="Column of the value; without one every numeric column.")] = "",
    metric: Annotated[str, typer.Option(help="Column of the metric's name, or the name.")] = "",
    body: Annotated[str, typer.Option(help="Column of a log line's text.")] = "",
    service: Annotated[str, typer.Option(help="Whose telemetry it is when no row says it.")] = "",
    zone: Annotated[str, typer.Option(help="IANA time zone of times in log text that carry none.")] = "UTC",
    restart: Restart = False,
) -> None:
    """Import a file."""
    from twofold.aiops.ingest.files.tables import FileImport, ImportedFile

    if kind not in ("auto", "logs", "samples"):
        fail(f"--kind {kind} is not one of auto, logs, samples", Exit.USAGE)
    config = FileImport(
        kind=kind,  # type: ignore[arg-type]  # one of the three, as checked above
        time=time_column,
        value=value,
        metric=metric,
        body=body,
        service=service,
        zone=zone,
    )
    found = ImportedFile(path, config, time.time_ns())
    status = path.stat()
    resume = Resume(f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {config}", restart=restart)
    after = int(resume.state.get("done", 0))
    with Sender(connect(), total=found.total, done=after, label=path.name) as sender:
        for piece in found.pieces(after):
            if piece.done != after:  # several pieces may end at the same place
                resume.save({"done": after})
                after = piece.done
            sender.send(piece.request)
            sender.reached(piece.done)
    resume.finish()
    sender.summary()


@app.command("prometheus")
def from_prometheus(
    url: Address,
    since: Since = "7d",
    until: Until = "",
    match: Annotated[str, typer.Option(help='Selector, such as {job="cart"} [everything].')] = "",
    step: Step = "",
    window: Window = "1h",
    header: Header = None,
    restart: Restart = False,
) -> None:
    """Import from a Prometheus, or what speaks its query API."""
    from twofold.aiops.ingest.pull.prometheus import Prometheus
    from twofold.aiops.ingest.pull.source import PullConfig

    config = PullConfig(url=url, match=match, step_s=seconds(step) if step else 0.0, headers=_headers(header))
    _pull(Prometheus(config), f"prometheus {url} {match} {step}", (since, until, window), restart=restart)


@app.command("victoriametrics")
def from_victoriametrics(
    url: Address,
    since: Since = "7d",
    until: Until = "",
    match: Annotated[str, typer.Option(help='Selector, such as {job="cart"} [everything].')] = "",
    step: Step = "",
    window: Window = "1h",
    header: Header = None,
    restart: Restart = False,
) -> None:
    """Import from a VictoriaMetrics."""
    from twofold.aiops.ingest.pull.prometheus import VictoriaMetrics
    from twofold.aiops.ingest.pull.source import PullConfig

    config = PullConfig(url=url, match=match, step_s=seconds(step) if step else 0.0, headers=_headers(header))
    _pull(VictoriaMetrics(config), f"victoriametrics {url} {match} {step}", (since, until, window), restart=restart)


@app.command("loki")
def from_loki(
    url: Address,
    since: Since = "1d",
    until: Until = "",
    query: Annotated[str, typer.Option(help='LogQL, such as {namespace="shop"} [everything].')] = "",
    window: Window = "15m",
    header: Header = None,
    restart: Restart = False,
) -> None:
    """Import from a Loki."""
    from twofold.aiops.ingest.pull.loki import Loki
    from twofold.aiops.ingest.pull.source import PullConfig

    source = Loki(PullConfig(url=url, match=query, headers=_headers(header)))
    _pull(source, f"loki {url} {query}", (since, until, window), restart=restart)


def _pull(source: Source, key: str, times: tuple[str, str, str], *, restart: bool) -> None:
    """Read window by window, the oldest first; a window counts once all of it is sent."""
    from twofold.aiops.ingest.pull.source import windows

    since, until, window = times
    now = datetime.now(UTC)
    resume = Resume(f"{key} {since} {until}", restart=restart)
    start_ms = int(resume.state.get("start_ms", moment(since, now).timestamp() * 1000))
    end_ms = int(resume.state.get("end_ms", (moment(until, now) if until else now).timestamp() * 1000))
    after_ms = int(resume.state.get("done_ms", start_ms))
    if after_ms > start_ms:
        typer.echo(f"going on at {datetime.fromtimestamp(after_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC, where it stopped")
    if end_ms <= start_ms:
        fail("there is no time between --since and --until", Exit.USAGE)
    width_ms = int(seconds(window) * 1000)
    if width_ms <= 0:
        fail(f"--window {window} is no time", Exit.USAGE)
    try:
        with Sender(connect(), total=end_ms - start_ms, done=after_ms - start_ms, label="import") as sender:
            for each in windows(after_ms, end_ms, width_ms):
                for request in source.requests(each):
                    sender.send(request)
                sender.reached(each.end_ms - start_ms)
                resume.save({"start_ms": start_ms, "end_ms": end_ms, "done_ms": each.end_ms})
    finally:
        source.close()
    resume.finish()
    sender.summary()


class Sender:
    """Sends requests into the backfill lane, waits while the server is busy, and draws a progress bar."""

    def __init__(self, api: Api, *, total: int, done: int, label: str) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._api = api
        self._http = _client(api)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[items]:,} items"),
            TimeRemainingColumn(),
            transient=True,
        )
        self._task = self._progress.add_task(label, total=max(1, total), completed=done, items=0)
        self.items = 0
        self.refused: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        self._http.close()

    def send(self, request: Request) -> None:
        """Send one request; one that is refused in part is told at the end."""
        import httpx

        from twofold.aiops.ingest.capture import Captured

        body, headers = Captured(path=request.path, media=request.media, body=request.body, time_ns=1).encoded()
        try:
            answer = self._http.post(request.path, content=body, headers=headers)
            while answer.status_code in _BUSY:
                time.sleep(float(answer.headers.get("retry-after", 1)))
                answer = self._http.post(request.path, content=body, headers=headers)
        except httpx.HTTPError as error:
            self._end(f"{self._api.url} went away ({type(error).__name__})", Exit.UNREACHABLE)
        self.items += request.items
        if answer.status_code == _PARTLY or b'"errors":true' in answer.content[:64]:
            self.refused[_reason(answer)] += 1
        elif answer.is_error:
            self._end(f"{request.path} answered {answer.status_code}: {answer.text[:300]}", Exit.FAILED)
        self._progress.update(self._task, items=self.items)

    def reached(self, done: int) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=done)

    def summary(self) -> None:
        """Say what was sent, and what of it the server would not take."""
        typer.echo(f"{self.items:,} items sent; incidents found in them appear as backfilled")
        for reason, count in self.refused.most_common(_SHOWN):
            typer.echo(f"refused in part, {count} requests: {reason}", err=True)

    def _end(self, message: str, code: Exit) -> NoReturn:
        fail(f"{message}; run the same command again, it goes on where it stopped", code)


class Resume:
    """How far an import came, in a small file of the user's own, so that the same command goes on there."""

    def __init__(self, key: str, *, restart: bool) -> None:
        import hashlib
        import json

        from twofold.config import client_environment

        homes = client_environment()[2]
        home = next((each for each in homes if each.exists()), homes[-1])
        self._path = home / "imports" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
        self.state: Mapping[str, Any] = {}
        if not restart and self._path.exists():
            self.state = json.loads(self._path.read_text())

    def save(self, state: Mapping[str, Any]) -> None:
        """Note how far it came."""
        import json

        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.replace(self._path)

    def finish(self) -> None:
        """It is all in."""
        self._path.unlink(missing_ok=True)


def _headers(given: list[str] | None) -> dict[str, str]:
    found = {}
    for each in given or ():
        name, colon, value = each.partition(":")
        if not colon:
            fail(f"--header {each!r} is not of the form 'Name: value'", Exit.USAGE)
        found[name.strip()] = value.strip()
    return found


def _client(api: Api) -> httpx.Client:
    import httpx

    headers = {"x-twofold-lane": "backfill"} | ({"authorization": f"Bearer {api.token}"} if api.token else {})
    return httpx.Client(base_url=api.url, headers=headers, timeout=120.0, trust_env=False)


def _reason(answer: httpx.Response) -> str:
    """Why something was refused: the protocol's text, or the first item's reason."""
    try:
        items: Iterator[dict[str, Any]] = (next(iter(item.values())) for item in answer.json()["items"])
        return str(next(item["error"]["reason"] for item in items if "error" in item))
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return answer.text[:200]
