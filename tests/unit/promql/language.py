"""The language of Prometheus's published PromQL tests: load samples, evaluate, compare.

Native histograms are not kept here, so an evaluation that meets one is skipped, and counted as skipped.

Source: Prometheus, `promql/promqltest/README.md`.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import promql_parser as native

from tests.unit.promql.memory import Memory
from twofold.errors import TwofoldError
from twofold.store.promql import Answer, Engine, Kind, Labels, Limits
from twofold.store.promql.matchers import matching
from twofold.store.promql.parse import conditions, parse
from twofold.store.promql.values import NAME, STALE_BITS, make_labels

EPSILON = 1e-6
STALE = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]
Expected = Mapping[Labels, Sequence[float | None]]

_DURATION = re.compile(r"-?(?:\d+(?:ms|[smhdwy]))+")
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
_EVAL = re.compile(
    r"eval(?:_(?P<mode>fail|warn|info|ordered))?\s+"
    r"(?:instant\s+at\s+(?P<at>\S+)|range\s+from\s+(?P<start>\S+)\s+to\s+(?P<end>\S+)\s+step\s+(?P<step>\S+))"
    r"\s+(?P<query>.*)",
    re.DOTALL,
)
_SERIES = re.compile(
    r"(?P<metric>[a-zA-Z_:][\w:]*(?:\s*\{(?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*\})?|\{(?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*\})\s+(?P<values>.*)"
)
_NUMBER = r"[-+]?(?:0x[0-9a-fA-F]+|\d*\.?\d+(?:[eE][-+]?\d+)?|\d+\.|[iI]nf|NaN)"
_RUN = re.compile(rf"(?P<first>{_NUMBER})(?:(?P<step>[-+]{_NUMBER.removeprefix('[-+]?')}))?x(?P<times>\d+)")


@dataclass(slots=True)
class Case:
    """One evaluation and what it should give."""

    line: int
    query: str
    start_ms: int
    end_ms: int
    step_ms: int
    fails: bool = False
    message: str = ""
    ordered: bool = False
    told: dict[str, bool] = field(default_factory=dict)
    """`warn` and `info`: whether one is expected."""
    text: str | None = None
    number: float | None = None
    series: dict[Labels, list[float | None]] = field(default_factory=dict)
    raw: tuple[int, int] | None = None
    """Start and step of the values of a range vector."""
    histograms: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of the evaluations of one file."""

    passed: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Evaluations that were made."""
        return self.passed + len(self.failed)


def text_of(path: Path) -> str:
    """The file's text, gzipped or not."""
    return gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()


def run(path: Path) -> Outcome:
    """Every evaluation of a file against an engine of its own; what cannot be read counts as failed."""
    outcome, memory, engine = Outcome(), Memory(), Engine()
    histograms: set[Labels] = set()
    for block in _blocks(text_of(path)):
        line, text = block[0]
        try:
            if text == "clear":
                memory, histograms = Memory(), set[Labels]()
            elif text.startswith("load"):
                _load_block(memory, histograms, block)
            else:
                _evaluate(outcome, engine, memory, histograms, _case(block))
        except (AssertionError, ValueError) as error:
            outcome.failed.append(f"{path.name}:{line} {text}: {error}")
    return outcome


def _load_block(memory: Memory, histograms: set[Labels], block: Sequence[tuple[int, str]]) -> None:
    command, gap = block[0][1].split()[:2]
    _load(memory, histograms, _duration_ms(gap), [text for _, text in block[1:]])
    if command == "load_with_nhcb":  # and the same as native histograms
        every = map(dict, memory.held)
        buckets = (labels | {NAME: labels[NAME].removesuffix("_bucket")} for labels in every if "le" in labels)
        histograms |= {
            make_labels((name, value) for name, value in labels.items() if name != "le") for labels in buckets
        }


def _evaluate(outcome: Outcome, engine: Engine, memory: Memory, histograms: set[Labels], case: Case) -> None:
    if case.histograms or _asks_for(case.query, histograms):
        outcome.skipped += 1
    elif wrong := check(engine, memory, case):
        outcome.failed.append(f"line {case.line} {case.query}: {wrong}")
    else:
        outcome.passed += 1


def _asks_for(query: str, histograms: set[Labels]) -> bool:
    """Whether a query names the metric of one of these series, or selects one by its labels."""
    if any(re.search(rf"\b{re.escape(dict(labels).get(NAME, ''))}\b", query) for labels in histograms):
        return True
    found: list[Any] = []
    with suppress(TwofoldError):
        native.walk(parse(query, Limits()), found.append)
    selectors = [node for node in found if isinstance(node, native.VectorSelector)]
    every = [dict(labels) for labels in histograms]
    return any(matching(every, each).any() for node in selectors for each in conditions(node))


def cases(path: Path) -> list[Case]:
    """Every evaluation of a file."""
    return [_case(block) for block in _blocks(text_of(path)) if block[0][1].startswith("eval")]


def loads(path: Path) -> dict[Labels, list[tuple[int, float]]]:
    """All samples that a file loads, by labels; for files that never clear."""
    memory = Memory()
    for block in _blocks(text_of(path)):
        if block[0][1].startswith("load"):
            _load(memory, set(), _duration_ms(block[0][1].split()[1]), [text for _, text in block[1:]])
    return memory.held


def check(engine: Engine, memory: Memory, case: Case) -> str:
    """What is wrong with the answer; empty when it is as expected."""
    try:
        if case.step_ms:
            answer = engine.range(memory, case.query, case.start_ms, case.end_ms, case.step_ms)
        else:
            answer = engine.instant(memory, case.query, case.start_ms)
    except TwofoldError as error:
        if not case.fails:
            return f"error {error.message}"
        return "" if not case.message or case.message in error.message else f"other error {error.message}"
    if case.fails:
        return "no error"
    for kind, wanted in case.told.items():
        found = answer.warnings if kind == "warn" else answer.infos
        if bool(found) != wanted:
            return f"{kind} {list(found)}"
    return _differs(answer, case)


def _differs(answer: Answer, case: Case) -> str:
    if case.text is not None:
        return "" if answer.text == case.text else f"text {answer.text!r}"
    if case.number is not None:
        return "" if answer.kind is Kind.SCALAR and _close(_rows(answer)[()][0], case.number) else f"{_rows(answer)}"
    found = _rows(answer)
    if set(found) != set(case.series):
        return f"series {[dict(labels) for labels in set(found) ^ set(case.series)]}"
    for labels, values in case.series.items():
        got = found[labels]
        wanted = values if answer.samples is None else [value for value in values if value is not None]
        if len(got) != len(wanted) or not all(_close(a, b) for a, b in zip(got, wanted, strict=True)):
            return f"{dict(labels)} is {got}, expected {wanted}"
    return f"order {list(found)}" if case.ordered and list(found) != list(case.series) else ""


def _rows(answer: Answer) -> dict[Labels, list[float | None]]:
    """Values by labels, None where there is none; of a range vector those there are."""
    if answer.samples is not None:
        of = answer.samples
        bounds = zip(of.labels, of.starts[:-1].tolist(), of.starts[1:].tolist(), strict=True)
        return {labels: of.values[low:high].tolist() for labels, low, high in bounds}
    if answer.vector is None:
        return {}
    rows = zip(answer.vector.labels, answer.vector.values, answer.vector.present, strict=True)
    return {
        labels: [value if there else None for value, there in zip(values.tolist(), present.tolist(), strict=True)]
        for labels, values, present in rows
    }


def _close(left: float | None, right: float | None) -> bool:
    if left is None or right is None:
        return left is right
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    if math.isinf(left) or math.isinf(right):
        return left == right
    return abs(left - right) <= EPSILON * max(abs(left), abs(right)) or abs(left - right) < 1e-300


def _blocks(text: str) -> Iterator[list[tuple[int, str]]]:
    """Commands with the lines that belong to them."""
    block: list[tuple[int, str]] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith("#"):
            continue
        starts = re.match(r"(clear|load|load_with_nhcb|eval(_\w+)?)(\s|$)", line)
        if (not line or starts) and block:
            yield block
            block = []
        if line:
            block.append((number, line))
    if block:
        yield block


def _load(memory: Memory, histograms: set[Labels], gap_ms: int, lines: Sequence[str]) -> None:
    found: dict[Labels, list[tuple[int, float]]] = {}
    for line in lines:
        match = _SERIES.fullmatch(line)
        assert match, line
        labels = _labels(match["metric"])
        if "{{" in match["values"]:
            histograms.add(labels)
            continue
        values = _values(match["values"])
        found[labels] = [(at * gap_ms, value) for at, value in enumerate(values) if value is not None]
    memory.load(found)


def _labels(metric: str) -> Labels:
    if re.sub(r"\s", "", metric) == "{}":
        return ()
    parsed: Any = native.parse(metric)
    pairs = {matcher.name: matcher.value for matcher in parsed.matchers.matchers}
    return make_labels((pairs | ({NAME: parsed.name} if parsed.name else {})).items())


def _values(text: str) -> list[float | None]:
    found: list[float | None] = []
    for word in text.split():
        if word == "stale":
            found.append(STALE)
        elif word.startswith("_"):
            found += [None] * (int(word[2:]) if len(word) > 1 else 1)
        elif run := _RUN.fullmatch(word):
            first, step = _number(run["first"]), _number(run["step"] or "0")
            found += [first + step * at for at in range(int(run["times"]) + 1)]
        else:
            found.append(_number(word))
    return found


def _number(text: str) -> float:
    if "0x" in text:
        return float(int(text, 16))
    return float(text)


def _duration_ms(text: str) -> int:
    if not _DURATION.fullmatch(text):
        return round(float(text) * 1000)
    whole = sum(int(number) * _UNIT_MS[unit] for number, unit in _PART.findall(text))
    return -whole if text.startswith("-") else whole


def _case(block: Sequence[tuple[int, str]]) -> Case:
    line, text = block[0]
    match = _EVAL.fullmatch(text)
    assert match, text
    start = _duration_ms(match["at"] or match["start"])
    case = Case(
        line=line,
        query=match["query"],
        start_ms=start,
        end_ms=_duration_ms(match["end"]) if match["end"] else start,
        step_ms=_duration_ms(match["step"]) if match["step"] else 0,
        fails=match["mode"] == "fail",
        ordered=match["mode"] == "ordered",
        told={match["mode"]: True} if match["mode"] in {"warn", "info"} else {},
    )
    for _, each in block[1:]:
        _expect(case, each)
    return case


def _expect(case: Case, line: str) -> None:
    """Take one line of what is expected."""
    words = line.split(maxsplit=2)
    if "{{" in line:
        case.histograms = True
    elif words[0] == "expect":
        _expect_word(case, words)
    elif words[0].startswith("expected_fail"):
        case.message = line.partition(" ")[2] if words[0].endswith("message") else ""
    elif match := _SERIES.fullmatch(line):
        steps = (case.end_ms - case.start_ms) // case.step_ms + 1 if case.step_ms else 0
        values = _values(match["values"])
        case.series[_labels(match["metric"])] = values + [None] * (steps - len(values))
    else:
        case.number = _number(line)


def _expect_word(case: Case, words: Sequence[str]) -> None:
    kind, rest = words[1].rstrip(":"), words[2] if len(words) > 2 else ""
    if kind == "fail":
        case.fails = True
        case.message = rest.partition(":")[2].strip() if rest.startswith("msg:") else ""
    elif kind == "ordered":
        case.ordered = True
    elif kind in {"warn", "info"}:
        case.told[kind] = True
    elif kind in {"no_warn", "no_info"}:
        case.told[kind.removeprefix("no_")] = False
    elif kind == "string":
        case.text = rest[1:-1]


def table(outcomes: Mapping[str, Outcome]) -> str:
    """Passed of total, a file a line."""
    sums: Counter[str] = Counter()
    lines = []
    for name, outcome in outcomes.items():
        lines.append(f"{name:32} {outcome.passed:5} of {outcome.total:5} passed, {outcome.skipped:4} skipped")
        sums += Counter(passed=outcome.passed, total=outcome.total, skipped=outcome.skipped)
    lines.append(f"{'together':32} {sums['passed']:5} of {sums['total']:5} passed, {sums['skipped']:4} skipped")
    return "\n".join(lines)
