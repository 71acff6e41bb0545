"""How a line becomes words: what is a value by its form, and what odd bytes do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.aiops.detect.mining.masks import ALWAYS, SPOKEN, UNITS, Masks
from twofold.aiops.detect.mining.miner import Miner, MinerConfig
from twofold.errors import ConfigError
from twofold.stats.text.lines import CHAIN, MOST_WORDS, WILD, Lexicon, scratch
from twofold.stats.text.shapes import dissect, table
from twofold.stats.text.words import byte_kinds

LEXICON = Lexicon(byte_kinds(), table(ALWAYS), table(UNITS), table(SPOKEN))


def words(line: str | bytes) -> list[str]:
    """Words of a line, `*` for values."""
    data = np.frombuffer(line if isinstance(line, bytes) else line.encode(), np.uint8)
    room = scratch()
    count = dissect(data, 0, len(data), LEXICON, room)
    spans = zip(room.symbol[:count].tolist(), room.begin.tolist(), room.end.tolist(), strict=False)
    return ["*" if s == WILD else data[b:e].tobytes().decode("utf-8", "replace") for s, b, e in spans]


def chain(line: str) -> int:
    data = np.frombuffer(line.encode(), np.uint8)
    room = scratch()
    dissect(data, 0, len(data), LEXICON, room)
    return int(room.state[CHAIN])


def text(*lines: str) -> list[str]:
    """Template of each line, mined together."""
    miner = Miner()
    return [miner.template(each).text() for each in miner.settled(miner.feed_texts(lines)).tolist()]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("took 5 ms", ["took", "*", "*"]),
        ("5 KB sent in ms", ["*", "*", "sent", "in", "ms"]),
        ("at 10.2.3.4:8080 now", ["at", "*", "now"]),
        ("at fe80::1:2 now", ["at", "*", "now"]),
        ("mac AA:BB:CC:DD:EE:FF up", ["mac", "*", "up"]),
        ("mac FF:FE:EB:DC up", ["mac", "*", "up"]),
        ("id 550e8400-e29b-41d4-a716-446655440000", ["id", "*"]),
        ("block blk_-123 moved", ["block", "*", "moved"]),
        ("open /var/log/x failed", ["open", "*", "failed"]),
        ("GET /v2/x?a=b&c=d HTTP", ["GET", "*", "HTTP"]),
        (r"load C:\Windows\a.dll now", ["load", "C", "*", "now"]),
        ("by com.shop.Cart.add:31 com.shop.Main.run:9 now", ["by", "*", "now"]),
        ("at db.local:5432 or etc/app.conf", ["at", "*", "or", "*"]),
        ("load/store and read/write", ["load/store", "and", "read/write"]),
        ("mail from bob@example.com", ["mail", "from", "*"]),
        ("pointer deadbeef freed", ["pointer", "*", "freed"]),
        ("feed the bee", ["feed", "the", "bee"]),
        ("jk2_init() and ipv4_route done", ["jk2_init", "and", "ipv4_route", "done"]),
        ("node12 and L2 and core.77", ["*", "and", "*", "and", "*"]),
        ("flag is true, was null", ["flag", "is", "*", "was", "*"]),
        ("on Jun 14 15:16:01 2005 it broke", ["on", "*", "it", "broke"]),
        ("blocks blk_1 blk_2 blk_3 gone", ["blocks", "*", "gone"]),
        ("at (1, 2), 3 done", ["at", "*", "*", "done"]),
        ("illegal instruction......0", ["illegal", "instruction", "*"]),
        ("please wait ...", ["please", "wait"]),
        ("from 1.2.3.4 () at", ["from", "*", "*", "at"]),
        ("call foo() now", ["call", "foo", "now"]),
    ],
)
def test_values_are_known_by_their_form(line: str, found: list[str]) -> None:
    assert words(line) == found


def test_in_logfmt_keys_stay_and_values_go_but_for_the_message() -> None:
    line = 'level=info user="Alice B" path=/x ms=12 msg="cache warmed for shop" ok=true note='
    assert words(line) == [
        *("level", "*", "user", "*", "path", "*", "ms", "*"),
        *("msg", "cache", "warmed", "for", "shop", "ok", "*", "note", "*"),
    ]


def test_an_empty_value_before_the_next_key_has_the_place_of_a_full_one() -> None:
    assert chain("ruser= rhost=a") == chain("ruser=root rhost=b")
    assert words("ruser= rhost=a") == ["ruser", "*", "rhost", "*"]


def test_in_json_keys_stay_and_values_go_but_for_the_message() -> None:
    line = (
        '{"level": "info", "n": 12, "tags": ["a", "b"], "who": {"name": "A \\"B\\""}, "msg": "disk is \\"full\\" now"}'
    )
    found = words(line)
    assert found[:8] == ["level", "*", "n", "*", "tags", "*", "who", "name"]
    assert found[8:] == ["*", "msg", "disk", "is", "\\", "full\\", "now"]


def test_json_lines_of_one_statement_are_one_template_whatever_their_values() -> None:
    lines = [
        f'{{"level":"info","user":"u{i}","took":{i * 1.5},"tags":[{i},2],"msg":"user logged in"}}' for i in range(50)
    ]
    pretty = '{\n  "level": "info",\n  "user": "bob",\n  "took": 1,\n  "tags": [3],\n  "msg": "user logged in"\n}'
    assert len(set(text(*lines))) == 1
    assert words(pretty) == words(lines[0])


def test_a_trace_of_a_stack_is_the_line_that_begins_it() -> None:
    frames = "\n\tat com.shop.Cart.add(Cart.java:{})\n\tat com.shop.Main.run(Main.java:9)"
    lines = [f"request {i} failed{frames.format(i)}" for i in range(20)]
    assert len(set(text(*lines))) == 1
    assert words(lines[0]) == ["request", "*", "failed"]


def test_the_last_line_of_a_python_traceback_tells_which_error_it_was() -> None:
    start = 'Traceback (most recent call last):\n  File "x.py", line {}\n    pay()\n'
    first, second, other = (
        start.format(3) + "KeyError: 'a'",
        start.format(9) + "KeyError: 'a'",
        start.format(3) + "OSError: no disk",
    )
    found = text(first, second, other)
    assert found[0] == found[1] != found[2]


def test_ansi_codes_are_no_text() -> None:
    assert words("\x1b[1;32mINFO\x1b[0m ready \x1b[31mnow\x1b[0m") == ["INFO", "ready", "now"]
    assert text("\x1b[32mINFO\x1b[0m ready", "INFO ready") == ["INFO ready", "INFO ready"]


def test_words_that_are_not_ascii_are_words() -> None:
    assert words("Benutzer 7 hat größere Datei gelöscht") == ["Benutzer", "*", "hat", "größere", "Datei", "gelöscht"]
    assert words("用户 登录 成功 99") == ["用户", "登录", "成功", "*"]


def test_of_a_line_of_a_megabyte_the_beginning_counts() -> None:
    line = "dump of request 5: " + "x y " * 250_000
    miner = Miner()
    first, second = miner.feed_texts([line, "dump of request 6: " + "x y " * 250_000]).tolist()
    assert first == second
    assert len(words(line)) == MOST_WORDS
    assert len(miner.template(first).text()) < 20_000


def test_sizes_in_other_units_are_one_template_and_a_unit_that_stays_is_shown() -> None:
    mixed_units = [f"stored {i}.{i} {unit} (free {i} MB) on node" for i in range(9) for unit in ("B", "KB", "MB")]
    assert set(text(*mixed_units)) == {"stored <*> (free <*> MB) on node"}


def test_binary_rubbish_is_one_template() -> None:
    rng = np.random.default_rng(3)
    rubbish = [bytes(rng.integers(0, 256, 200, np.uint8)) for _ in range(300)]
    data = np.frombuffer(b"".join(rubbish), np.uint8)
    miner = Miner()
    raw = miner.feed(data, np.arange(0, len(data) + 1, 200))
    decoded = miner.feed_texts([each.decode("utf-8", "replace") for each in rubbish])
    for found in (raw, decoded):
        kinds, sizes = np.unique(found, return_counts=True)
        assert sizes.max() >= 0.97 * len(rubbish)
        assert len(kinds) <= 10


def test_a_header_before_the_message_does_not_split_it() -> None:
    lines = [
        f"Jun {1 + i % 28} 0{i % 9}:15:16 host{i % 4} sshd[{900 + i}]: session closed for peer {i}" for i in range(60)
    ]
    lines += [f"[Sun Dec 04 04:{i:02}:44 2005] [notice] worker {i} ready" for i in range(60)]
    lines += [f"2024-05-01T10:00:{i:02}.123Z INFO main - worker {i} stopped" for i in range(60)]
    assert len(set(text(*lines))) == 3


def test_white_space_of_any_length_is_one_separator_and_an_empty_line_is_a_template() -> None:
    assert chain("a  b\tc") == chain("a b c")
    assert text("", "   ", "\t") == ["", "", ""]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_within_their_bounds(line: bytes) -> None:
    data = np.frombuffer(b"#" * 7 + line + b"#" * 7, np.uint8)
    room = scratch()
    count = dissect(data, 7, 7 + len(line), LEXICON, room)
    assert 0 <= count <= MOST_WORDS
    begin, end = room.begin[:count], room.end[:count]
    assert ((begin >= 7) & (begin <= end) & (end <= 7 + len(line))).all()
    assert (begin[1:] >= end[:-1]).all()


def test_a_mask_of_the_user_makes_a_value_of_what_it_touches() -> None:
    miner = Miner(MinerConfig(masks=("JOB-[A-Z]+",)))
    found = miner.feed_texts([f"größe of JOB-{letter}X is fine" for letter in "ABCDEFGH"])
    assert len(set(found.tolist())) == 1
    assert miner.template(int(found[0])).text() == "größe of <*> is fine"


def test_a_mask_that_is_no_expression_or_matches_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="no regular expression"):
        Masks(["(a"])
    with pytest.raises(ConfigError, match="every word"):
        Masks(["x*"])
