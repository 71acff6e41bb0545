"""Rule files on the command line: what is no rule file ends with a sentence, what became of each rule is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from twofold.cli import rule_files


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "rules.yaml is empty"),
        (b" \n\t\n", "rules.yaml is empty"),
        (b"groups:\n- \xff\xfe", "rules.yaml is no text: line 2 holds bytes"),
    ],
)
def test_what_is_no_rule_file_ends_with_a_sentence_and_the_code_of_wrong_use(
    data: bytes, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rules.yaml").write_bytes(data)
    with pytest.raises(typer.Exit) as ended:
        rule_files.read(tmp_path / "rules.yaml")
    assert ended.value.exit_code == 2
    assert told in capsys.readouterr().err


def test_a_name_without_a_file_is_that_of_imported_rules(tmp_path: Path) -> None:
    assert rule_files.asked(Path("shop-alerts")) == {"model": "shop-alerts", "version": ""}
    assert rule_files.asked(Path("shop-alerts@3")) == {"model": "shop-alerts", "version": "3"}
    (tmp_path / "rules.yaml").write_text("groups: []")
    assert rule_files.asked(tmp_path / "rules.yaml") == {"rules": "groups: []"}
    with pytest.raises(typer.Exit):
        rule_files.asked(tmp_path / "none.yaml")


def test_each_rule_is_told_recordings_together(capsys: pytest.CaptureFixture[str]) -> None:
    one = {"group": "a", "line": 3, "refused": "", "note": "", "fired": 0, "series": 0, "records": False, "name": "A"}
    rule_files.outcomes(
        [
            one | {"fired": 3},
            one | {"name": "B", "refused": "expr: unclosed"},
            one | {"name": "c", "records": True, "series": 4},
            one | {"name": "d", "records": True, "note": "no alert asks for it"},
        ]
    )
    shown = capsys.readouterr().out
    for text in ("fired 3 times", "not replayed: expr: unclosed", "1 recordings made for them, 4 series", "no alert"):
        assert text in shown
