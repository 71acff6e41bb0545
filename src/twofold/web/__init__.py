"""Serves the built UI: files under `static/`, and its first page for every other path."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

STATIC: Final = Path(__file__).parent / "static"
_FOREVER: Final = "public, max-age=31536000, immutable"  # names under assets/ carry a hash of their content
_CHECK: Final = "no-cache"
_COMPRESSED: Final = ("text/", "application/json", "text/javascript", "image/svg+xml", "application/manifest+json")
_LEAST: Final = 1024  # bytes worth compressing

ABSENT: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Twofold</title>
<body style="font-family: system-ui; max-width: 40rem; margin: 4rem auto; padding: 0 1rem; line-height: 1.5">
<h1>Twofold runs</h1>
<p>The REST API and the receivers answer, but this checkout holds no built UI. An installed wheel does.</p>
<p>Build it with <code>make web</code>, then reload this page. The API is described in
<a href="/openapi.json">/openapi.json</a>.</p>
</body>
</html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    body: bytes
    gzipped: bytes | None
    media_type: str
    etag: str


def ui(folder: Path = STATIC) -> ASGIApp:
    """An ASGI app over a folder of built files, read and compressed once, on first request of each.

    A path that is no file gets `index.html`, so that deep links of the single-page app work; a
    missing asset gets 404, because HTML in place of a script only hides the error.
    """

    @cache
    def load(path: str) -> _File | None:
        file = (folder / path).resolve()
        if not file.is_relative_to(folder.resolve()) or not file.is_file():
            return None
        return _file(file.read_bytes(), mimetypes.guess_type(file.name)[0] or "application/octet-stream")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        path = request.url.path.lstrip("/")
        if "\0" in path or "\\" in path:
            found = None
        elif path.startswith("assets/"):
            found = load(path)
        else:
            found = (load(path) if path else None) or load("index.html") or _file(ABSENT.encode(), "text/html")
        await _answer(request, path, found)(scope, receive, send)

    return app


def _file(body: bytes, media_type: str) -> _File:
    worth = len(body) >= _LEAST and media_type.startswith(_COMPRESSED)
    gzipped = gzip.compress(body, 6, mtime=0) if worth else None
    return _File(body=body, gzipped=gzipped, media_type=media_type, etag=f'"{_digest(body)}"')


def _answer(request: Request, path: str, file: _File | None) -> Response:
    if file is None:
        return Response("no such file\n", 404, media_type="text/plain")
    headers = {
        "cache-control": _FOREVER if path.startswith("assets/") else _CHECK,
        "etag": file.etag,
        "vary": "accept-encoding",
    }
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    body = file.body
    if file.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        body = file.gzipped
        headers["content-encoding"] = "gzip"
    return Response(body if request.method != "HEAD" else b"", 200, headers, file.media_type)


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]
