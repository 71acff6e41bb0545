"""Serves the built UI: files under `static/`, and its first page for every other path."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
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
<p>Build it with <code>make ui</code>, then start Twofold again. The API is described in
<a href="/openapi.json">/openapi.json</a>.</p>
</body>
</html>
"""


@dataclass(frozen=True, kw_only=True)
class _File:
    """One file, read and compressed when first asked for."""

    path: Path

    @cached_property
    def media_type(self) -> str:
        return mimetypes.guess_type(self.path.name)[0] or "application/octet-stream"

    @cached_property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @cached_property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'

    @cached_property
    def brotli(self) -> bytes:
        import cramjam  # noqa: PLC0415 - loaded only by who serves pages

        return bytes(cramjam.brotli.compress(self.body, level=9))

    @cached_property
    def gzip(self) -> bytes:
        return gzip.compress(self.body, 6, mtime=0)

    def encodings(self) -> dict[str, Callable[[], bytes]]:
        """Ways to send it compressed, best first; none for what is small or compressed already."""
        if len(self.body) < _LEAST or not self.media_type.startswith(_COMPRESSED):
            return {}
        return {"br": lambda: self.brotli, "gzip": lambda: self.gzip}


def ui(folder: Path = STATIC) -> ASGIApp:
    """An ASGI app over a folder of built files, as the folder stands now.

    A path that is no file gets `index.html`, so that deep links of the single-page app work; a
    missing asset gets 404, because HTML in place of a script only hides the error.
    """
    files = {file.relative_to(folder).as_posix(): _File(path=file) for file in folder.rglob("*") if file.is_file()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        path = request.url.path.lstrip("/")
        found = files.get(path)
        if found is None and not path.startswith("assets/"):
            found = files.get("index.html")
            if found is None:
                await Response(ABSENT, media_type="text/html")(scope, receive, send)
                return
        await _answer(request, path, found)(scope, receive, send)

    return app


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
    taken = {part.partition(";")[0].strip() for part in request.headers.get("accept-encoding", "").split(",")}
    for name, compressed in file.encodings().items():
        if name in taken:
            body, headers["content-encoding"] = compressed(), name
            break
    return Response(body, 200, headers, file.media_type)
