"""The built UI, served: deep links work, hashed files stay, small is sent."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import cramjam
import httpx
import pytest

from twofold.web import ui


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as the build leaves it, with a file beside it that is nobody's business."""
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html><title>Twofold</title>" + " " * 2000)
    (static / "assets" / "index-Ab12.js").write_text("console.log('twofold');" * 200)
    (static / "assets" / "inter.woff2").write_bytes(b"\0" * 4000)
    (static / "icon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    return static


def get(folder: Path, path: str, **headers: str) -> httpx.Response:
    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(ui(folder))
        sent = {"accept-encoding": "identity"} | {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=sent) as client:
            return await client.get(path)

    return asyncio.run(go())


@pytest.mark.parametrize("path", ["/", "/incidents/i1?tab=timeline", "/models", "/index.html", "/api", "/a\\b", "/%00"])
def test_every_page_of_the_app_is_the_first_page(folder: Path, path: str) -> None:
    found = get(folder, path)
    assert found.status_code == 200
    assert found.headers["content-type"].startswith("text/html")
    assert found.headers["cache-control"] == "no-cache"


def test_files_are_themselves_and_hashed_ones_stay_for_good(folder: Path) -> None:
    script = get(folder, "/assets/index-Ab12.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert get(folder, "/icon.svg").headers["content-type"].startswith("image/svg+xml")


def test_a_missing_asset_is_missing(folder: Path) -> None:
    assert get(folder, "/assets/index-old.js").status_code == 404


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/../../secret.txt", "/..%5csecret.txt"]
)
def test_nothing_outside_the_folder_is_served(folder: Path, path: str) -> None:
    assert "secret" not in get(folder, path).text


def test_text_is_sent_compressed_as_the_browser_likes_and_fonts_as_they_are(folder: Path) -> None:
    plain = get(folder, "/assets/index-Ab12.js")
    assert "content-encoding" not in plain.headers
    for accepted, name in (("gzip, deflate, br", "br"), ("gzip;q=1.0, deflate", "gzip")):
        found = get(folder, "/assets/index-Ab12.js", accept_encoding=accepted)
        assert found.headers["content-encoding"] == name
        assert int(found.headers["content-length"]) < len(plain.content)
    font = get(folder, "/assets/inter.woff2", accept_encoding="gzip, br")
    assert "content-encoding" not in font.headers


def test_both_compressions_give_the_file_back(folder: Path) -> None:
    from twofold.web import _File  # noqa: PLC0415 - only here

    file = _File(path=folder / "assets" / "index-Ab12.js")
    assert gzip.decompress(file.gzip) == bytes(cramjam.brotli.decompress(file.brotli)) == file.body


def test_what_the_browser_has_is_not_sent_again(folder: Path) -> None:
    tag = get(folder, "/").headers["etag"]
    found = get(folder, "/", if_none_match=tag)
    assert (found.status_code, found.content) == (304, b"")


def test_without_a_build_a_plain_page_says_what_to_do(tmp_path: Path) -> None:
    found = get(tmp_path / "nothing", "/")
    assert found.status_code == 200
    assert "make ui" in found.text
