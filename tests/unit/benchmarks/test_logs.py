"""The yardsticks of the log benchmark: by hand on small cases, and equal to the published scorer."""

from __future__ import annotations

import gzip
import importlib.util
import os
import random
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.logs.data import System, load
from benchmarks.logs.expand import Expander, mixed, parts
from benchmarks.logs.fit import judged
from benchmarks.logs.novelty import Novelty, judge, stream
from benchmarks.logs.score import f1, groups, normal, score
from benchmarks.logs.search import SETS, figures, questions
from benchmarks.logs.stream import packed
from twofold.aiops.detect.mining.merge import fitted

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("TWOFOLD_DATA", ROOT.parent / "shared" / "data"))
LOGS = DATA / "logs"
SCORER = DATA.parent / "scorers" / "logs.py"
needs_data = pytest.mark.skipif(not LOGS.exists(), reason=f"no labelled logs in {LOGS}: set TWOFOLD_DATA")

TOY = System(
    name="toy",
    content=("user bob from 10.0.0.1 in", "user eve from 10.0.0.2 in", "disk 7 full", "disk 8 full", "fan ok"),
    truth=("user <*> from <*> in", "user <*> from <*> in", "disk <*> full", "disk <*> full", "fan ok"),
    original=("user <*> from <*> in", "user <*> from <*> in", "disk <*> full", "disk <*> full", "fan <*>"),
)


def published() -> ModuleType:
    if not SCORER.exists():
        pytest.skip(f"no published scorer at {SCORER}")
    spec = importlib.util.spec_from_file_location("published_logs", SCORER)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_group_is_right_only_when_it_is_exactly_the_true_one() -> None:
    truth, ids = ["a", "a", "b", "b", "c"], [1, 1, 2, 3, 4]
    found = score(truth, ids, truth)
    assert found["ga"] == pytest.approx(3 / 5)
    assert found["fga"] == pytest.approx(2 * 2 / (3 + 4))
    assert found["pa"] == found["fta"] == 1.0
    assert groups([1, 2, 1]) == {frozenset({0, 2}), frozenset({1})}
    assert f1(0, 3, 3) == 0.0


def test_a_template_that_covers_two_labels_is_no_right_template() -> None:
    found = score(["a x", "a y"], [1, 1], ["a x", "a x"])
    assert found["pa"] == 0.5
    assert found["fta"] == 0.0


def test_the_lenient_form_takes_mixed_words_numbers_and_runs_as_one_wildcard() -> None:
    assert normal("core.<*> 5, <*>:  <*> x=-3.5") == "<*> x=<*>"
    assert normal("a b") == "a b"


def test_figures_equal_those_of_the_published_scorer() -> None:
    module = published()
    pick = random.Random(4)  # noqa: S311 - no secret
    texts = ["a <*> b", "a <*>, <*> b", "x=5 y", "x=<*> y", "core.<*> up", "z"]
    for _ in range(40):
        truth, given = ([pick.choice(texts) for _ in range(60)] for _ in range(2))
        ids = [str(pick.randint(0, 5)) for _ in range(60)]
        assert score(truth, ids, given) == module.score(truth, ids, given)
        assert [normal(t) for t in truth] == [module.normal(t) for t in truth]


def test_a_folder_without_labelled_systems_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="TWOFOLD_DATA"):
        load(tmp_path)


def test_a_folder_laid_out_like_loghub_is_read_packed_or_not(tmp_path: Path) -> None:
    lines = 'LineId,Content,EventId,EventTemplate\n1,"took 5, ok",E1,"took <*>, ok"\n'
    labels = 'LineId,EventTemplate_corrected\n1,"took <*>, ok"\n'
    for name, pack in (("Plain", False), ("Packed", True)):
        for suffix, text in (("log_structured", lines), ("labels_corrected", labels)):
            path = tmp_path / f"{name}_2k.{suffix}.csv{'.gz' if pack else ''}"
            path.write_bytes(gzip.compress(text.encode()) if pack else text.encode())
    assert [(s.name, s.content, s.truth) for s in load(tmp_path)] == [
        (name, ("took 5, ok",), ("took <*>, ok",)) for name in ("Packed", "Plain")
    ]


def test_expanded_lines_fit_the_template_they_are_of() -> None:
    expander = Expander(TOY, 3)
    drawn = [expander.draw() for _ in range(500)]
    assert all(parts(text, label) for text, label in drawn)
    users = {text.split()[1] for text, label in drawn if label.startswith("user")}
    assert {"bob", "eve"} < users, "old words and new ones"
    assert drawn == [Expander(TOY, 3).draw() for _ in range(1)] + drawn[1:], "the seed decides"


def test_the_mixed_stream_holds_as_many_lines_of_each_system() -> None:
    other = System(name="other", content=("a",), truth=("a",), original=("a",))
    found = mixed([TOY, other], 400)
    assert [sum(label.startswith(name) for _, label in found) for name in ("toy/", "other/")] == [200, 200]
    lines = packed([text for text, _ in found], [label for _, label in found])
    assert lines.texts(7) == [text for text, _ in found[:7]]


def test_an_alarm_is_right_only_at_the_first_line_of_a_template_left_out() -> None:
    given = stream(TOY, lines=400)
    (missing,) = given.left_out
    assert missing not in given.truth[: given.warm]
    first = given.truth.index(missing)
    assert judge(given, [first]) == Novelty(1, 1, 0, 200)
    assert judge(given, [first + 1, 3]) == Novelty(0, 1, 1, 200), "late is false, and the warm-up does not count"
    both = Novelty(1, 2, 1, 50_000) + Novelty(1, 2, 0, 50_000)
    assert both.figures() == {"novelty_recall": 0.5, "false_per_100k": 1.0}


def test_there_are_a_hundred_questions_and_none_twice() -> None:
    found = [question for name in SETS for _, _, question in questions(name)]
    assert len(questions("")) == 100
    assert len(set(found)) == len(found)


@needs_data
def test_on_labelled_systems_the_miner_stays_above_its_line() -> None:
    systems = load(LOGS)
    rows = [judged(system, fitted()) for system in systems]
    mean = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
    assert mean["ga"] >= 0.96
    assert mean["fga"] >= 0.94
    assert mean["pa"] >= 0.80
    assert mean["fta"] >= 0.76


@needs_data
def test_of_a_hundred_questions_in_other_words_four_in_five_find_their_template() -> None:
    found = figures(load(LOGS))
    assert found["search_recall_at_5"] >= 0.8
    assert min(found[f"search_{name}_recall_at_5"] for name in ("held", "fresh")) >= 0.7, "nor were those in view"
