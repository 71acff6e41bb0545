"""What the documents say of the repository is true, and the laws that no linter knows hold."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "src" / "twofold"
LIMITS: Final = {"README.md": 140, "ARCHITECTURE.md": 200}


@pytest.mark.parametrize(("name", "most"), LIMITS.items())
def test_documents_stay_short(name: str, most: int) -> None:
    assert len((ROOT / name).read_text().splitlines()) <= most


def test_decisions_stay_short() -> None:
    found = list((ROOT / "docs" / "decisions").glob("*.md"))
    assert found
    assert all(len(path.read_text().splitlines()) <= 80 for path in found)


def test_the_folder_map_names_every_folder_and_nothing_else() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    block = text.split("## Folders")[1].split("```")[1]
    named = set(re.findall(r"^  ([a-z]+)/", block, re.MULTILINE))
    there = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert named == there
    stages = {
        name for line in block.splitlines() if line.startswith(("  aiops/", "  mlops/")) for name in line.split()[1::2]
    }
    folders = {p.name for loop in ("aiops", "mlops") for p in (SOURCE / loop).iterdir() if (p / "__init__.py").exists()}
    assert folders - {"formats"} <= stages


def test_every_link_in_a_document_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name} links to {target}"


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_below_the_api_only_joints_import_both_loops() -> None:
    for path in SOURCE.rglob("*.py"):
        place = path.relative_to(SOURCE).parts[0]
        if place in {"joints", "app", "config.py"}:
            continue
        loops = {name.split(".")[1] for name in _imports(path) if name.startswith(("twofold.aiops", "twofold.mlops"))}
        assert len(loops) <= 1, f"{path.relative_to(ROOT)} imports both loops"


def test_only_the_config_reads_the_environment() -> None:
    allowed = {SOURCE / "config.py"}
    for path in SOURCE.rglob("*.py"):
        if path in allowed or path.name == "child.py":
            continue
        assert not re.search(r"os\.(environ|getenv)", path.read_text()), (
            f"{path.relative_to(ROOT)} reads the environment"
        )


def test_no_locked_file_names_a_registry() -> None:
    for path in [*(ROOT / "requirements").glob("*.txt"), ROOT / "web" / "package-lock.json"]:
        assert not re.search(r"https?://[^\s\"]*(pypi|npmjs|/simple)", path.read_text()), path.name


def test_nothing_is_unpickled() -> None:
    for path in SOURCE.rglob("*.py"):
        assert not {"pickle", "cloudpickle", "joblib"} & {name.split(".")[0] for name in _imports(path)}, path.name
