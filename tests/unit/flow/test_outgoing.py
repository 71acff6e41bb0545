"""Outgoing calls go where configuration says and nowhere else, whatever names and redirects claim."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from twofold.errors import Denied, TooLarge, Unavailable
from twofold.flow.outgoing import Outgoing, OutgoingConfig, Refused, origin


@dataclass
class Site:
    """A real server: answers by path, notes what it was asked."""

    url: str = ""
    port: int = 0
    calls: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    redirects: dict[str, tuple[int, str]] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    encoding: str = ""
    before: Callable[[], object] = lambda: None

    @property
    def paths(self) -> list[str]:
        """Method and path of every call."""
        return [f"{method} {path}" for method, path, _, _ in self.calls]


@pytest.fixture
def sites() -> Iterator[list[Site]]:
    servers = []
    found = []
    for _ in range(2):
        site = Site()
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        site.port = server.server_address[1]
        site.url = f"http://127.0.0.1:{site.port}"
        servers.append(server)
        found.append(site)
    yield found
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def site(sites: list[Site]) -> Site:
    return sites[0]


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            site.calls.append((self.command, self.path, headers, body))
            site.before()
            if self.path in site.redirects:
                status, location = site.redirects[self.path]
                self.send_response(status)
                self.send_header("location", location)
            else:
                self.send_response(int(self.path[1:]) if self.path[1:].isdigit() else 200)
            found = site.bodies.get(self.path, b"ok")
            if site.encoding:
                self.send_header("content-encoding", site.encoding)
            self.send_header("content-length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler


@pytest.fixture
def outgoing(site: Site) -> Iterator[Outgoing]:
    client = Outgoing([site.url], OutgoingConfig(timeout_s=5, response_bytes=1000))
    yield client
    client.close()


def _resolving(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[str]]) -> list[str]:
    """Let names resolve to addresses in turn; returns the list of names that were asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *arguments: Any, **named: Any) -> Any:
        if host not in answers:
            return real(host, port, *arguments, **named)
        asked.append(host)
        address = answers[host].pop(0)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


def test_a_trusted_address_is_called_with_headers_and_content(site: Site, outgoing: Outgoing) -> None:
    status, body = outgoing.request("POST", f"{site.url}/x?y=1", headers={"x-key": "k"}, content=b"payload")
    assert (status, body) == (200, b"ok")
    ((method, path, headers, content),) = site.calls
    assert (method, path, headers["x-key"], content) == ("POST", "/x?y=1", "k", b"payload")
    assert headers["host"] == f"127.0.0.1:{site.port}"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
    ],
)
def test_a_name_that_leads_inside_is_denied_unless_declared(
    monkeypatch: pytest.MonkeyPatch, outgoing: Outgoing, address: str
) -> None:
    _resolving(monkeypatch, {"inside.test": [address]})
    with pytest.raises(Denied, match="not public"):
        outgoing.request("GET", "http://inside.test/")


def test_trust_is_of_one_origin_not_of_its_host(sites: list[Site], outgoing: Outgoing) -> None:
    with pytest.raises(Denied):
        outgoing.request("GET", f"{sites[1].url}/")
    assert sites[1].calls == []


def test_a_name_is_resolved_once_and_just_that_address_called(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    """A second answer of the name server (rebinding) is never asked for."""
    asked = _resolving(monkeypatch, {"rebind.test": ["127.0.0.1", "10.0.0.1"]})
    client = Outgoing([f"http://rebind.test:{site.port}"])
    assert client.request("GET", f"http://rebind.test:{site.port}/")[0] == 200
    client.close()
    assert asked == ["rebind.test"]
    assert site.calls[0][2]["host"] == f"rebind.test:{site.port}"


def test_a_name_that_changes_its_mind_is_denied_at_the_next_request(
    monkeypatch: pytest.MonkeyPatch, outgoing: Outgoing
) -> None:
    _resolving(monkeypatch, {"turn.test": ["8.8.8.8", "127.0.0.1"]})
    assert outgoing._resolve("http://turn.test/") == "8.8.8.8"
    with pytest.raises(Denied):
        outgoing._resolve("http://turn.test/")


def test_a_redirect_within_the_origin_is_followed(site: Site, outgoing: Outgoing) -> None:
    site.redirects = {"/a": (307, "/b"), "/b": (303, "/c")}
    assert outgoing.request("POST", f"{site.url}/a", headers={"x-key": "k"}, content=b"x") == (200, b"ok")
    assert site.paths == ["POST /a", "POST /b", "GET /c"]
    assert [content for *_, content in site.calls] == [b"x", b"x", b""]
    assert all(headers["x-key"] == "k" for _, _, headers, _ in site.calls)


def test_a_redirect_to_an_address_that_is_not_declared_is_denied(sites: list[Site], outgoing: Outgoing) -> None:
    sites[0].redirects = {"/a": (302, f"{sites[1].url}/inside")}
    with pytest.raises(Denied):
        outgoing.request("GET", f"{sites[0].url}/a")
    assert sites[1].calls == []


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://user:secret@127.0.0.1/", "gopher://x/"])
def test_a_redirect_to_what_is_no_web_address_is_denied(site: Site, outgoing: Outgoing, location: str) -> None:
    site.redirects = {"/a": (302, location)}
    with pytest.raises(Denied):
        outgoing.request("GET", f"{site.url}/a")


def test_credentials_do_not_follow_a_redirect_to_another_origin(sites: list[Site]) -> None:
    here, there = sites
    client = Outgoing([here.url, there.url])
    here.redirects = {"/a": (307, f"{there.url}/b")}
    headers = {"Authorization": "Bearer s", "X-Token": "s", "Idempotency-Key": "k", "content-type": "text/plain"}
    client.request("POST", f"{here.url}/a", headers=headers, content=b"x")
    client.close()
    ((_, _, got, content),) = there.calls
    assert "authorization" not in got
    assert "x-token" not in got
    assert (got["idempotency-key"], got["content-type"], content) == ("k", "text/plain", b"x")


def test_going_in_circles_ends(site: Site, outgoing: Outgoing) -> None:
    site.redirects = {"/a": (302, "/a")}
    with pytest.raises(Unavailable, match="redirects"):
        outgoing.request("GET", f"{site.url}/a")
    assert len(site.calls) == 4


def test_an_answer_past_the_limit_is_cut_off(site: Site, outgoing: Outgoing) -> None:
    site.bodies = {"/big": b"x" * 1001, "/fits": b"x" * 1000}
    assert len(outgoing.request("GET", f"{site.url}/fits")[1]) == 1000
    with pytest.raises(TooLarge, match="more than 1000 bytes"):
        outgoing.request("GET", f"{site.url}/big")


def test_a_small_answer_cannot_unpack_into_a_large_one(site: Site, outgoing: Outgoing) -> None:
    """We ask for plain bytes; who sends packed ones anyway is read as he sent."""
    packed = gzip.compress(b"0" * 10_000_000, compresslevel=9)[:900]
    site.bodies, site.encoding = {"/bomb": packed}, "gzip"
    assert outgoing.request("GET", f"{site.url}/bomb") == (200, packed)
    assert site.calls[0][2]["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, Refused), (404, Refused), (408, Unavailable), (429, Unavailable), (500, Unavailable), (503, Unavailable)],
)
def test_what_an_answer_means_for_another_try(
    site: Site, outgoing: Outgoing, status: int, error: type[Exception]
) -> None:
    site.bodies = {f"/{status}": b"why"}
    with pytest.raises(error, match=str(status)):
        outgoing.request("GET", f"{site.url}/{status}")


def test_a_failure_says_whether_the_request_may_have_arrived(site: Site) -> None:
    """What had no effect may be tried again; of what was sent nobody knows."""
    hung = threading.Event()
    site.bodies = {"/slow": b"late"}
    site.before = lambda: hung.wait(20)
    client = Outgoing([site.url], OutgoingConfig(timeout_s=0.3))
    with pytest.raises(Unavailable) as sent:
        client.request("POST", f"{site.url}/slow")
    hung.set()
    client.close()
    assert sent.value.facts["sent"] is True
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    client = Outgoing([url])
    with pytest.raises(Unavailable) as unsent:
        client.request("POST", url)
    client.close()
    assert unsent.value.facts["sent"] is False


def test_a_name_that_does_not_resolve_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    client = Outgoing()
    with pytest.raises(Unavailable, match="does not resolve"):
        client.request("GET", "http://nowhere.test/")
    client.close()


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("HTTP://Shop.Local/x?y", "http://shop.local:80"),
        ("https://shop.local:443", "https://shop.local:443"),
        ("http://[::1]:9000/x", "http://[::1]:9000"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, found: str) -> None:
    assert origin(url) == found


@pytest.mark.parametrize(
    "url",
    ["", "shop.local", "ftp://shop.local", "http://", "http://a@b/", "http://@b/", "http://h:99999/", "http://[::1/"],
)
def test_what_is_no_plain_web_address_has_no_origin(url: str) -> None:
    with pytest.raises(Denied):
        origin(url)
