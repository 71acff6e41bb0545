"""Cases in the language of Prometheus's own PromQL tests: ours, and the published ones where their files are.

They are looked for in `promql` of the data folder (`TWOFOLD_DATA`), or where `TWOFOLD_PROMQL_CASES` says, such as
`<checkout of Prometheus>/promql/promqltest/testdata`. With `pytest -s` passed of total are printed a file.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.promql.language import Outcome, run, table

OURS = Path(__file__).parent / "cases"
PASSED = {"aggregations": 53, "functions": 99, "operators": 56, "selectors": 35, "three": 59}
"""May only rise."""
DATA = Path(os.environ.get("TWOFOLD_DATA", Path(__file__).parents[4] / "shared" / "data"))
THEIRS = Path(os.environ.get("TWOFOLD_PROMQL_CASES", DATA / "promql"))
FILES = {path.name.split(".")[0]: path for path in sorted(THEIRS.glob("*.test*"))}
CORE = ("aggregators", "at_modifier", "functions", "info", "literals", "operators", "range_queries", "selectors")
GOAL = 0.98


@pytest.mark.parametrize("name", sorted(path.stem for path in OURS.glob("*.test")))
def test_our_cases_pass_all_and_grow_never_fewer(name: str) -> None:
    outcome = run(OURS / f"{name}.test")
    assert not outcome.failed, "\n".join(outcome.failed)
    assert outcome.passed >= PASSED[name]


@pytest.mark.skipif(not FILES, reason=f"no published test cases of Prometheus in {THEIRS}")
def test_published_cases_of_selectors_functions_operators_and_aggregations_pass() -> None:
    """Nearly all; what meets native histograms, which are not kept, is skipped and counted."""
    outcomes: dict[str, Outcome] = {name: run(path) for name, path in FILES.items()}
    print("\n" + table(outcomes))  # noqa: T201 - the figure
    core = [outcomes[name] for name in CORE if name in outcomes]
    assert core
    assert sum(outcome.passed for outcome in core) >= GOAL * sum(outcome.total for outcome in core)
