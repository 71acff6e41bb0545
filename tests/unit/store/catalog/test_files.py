"""The catalog's file and its sids: damage, torn ends, collisions, a second process."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from twofold.errors import InputError, NotFound, StorageFull
from twofold.store.catalog import files
from twofold.store.catalog.files import FileCatalog

CART = "service:cart"


def filled(root: Path, count: int) -> list[int]:
    catalog = FileCatalog(root)
    sids = [catalog.register("cpu", {"n": str(n)}, entity=CART, tenant="main")[0] for n in range(count)]
    catalog.save()
    return sids


def test_two_series_of_one_hash_get_two_sids_that_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "HASH_BITS", 2)
    monkeypatch.setattr(files, "METRIC_BITS", 1)
    catalog = FileCatalog(tmp_path)
    sids = [catalog.register("cpu", {"n": str(n)}, entity=CART, tenant="main")[0] for n in range(4)]
    assert len(set(sids)) == 4
    catalog.save()
    late_first = FileCatalog(tmp_path / "other")
    late_first.restore([catalog.get(sid, tenant="main") for sid in reversed(sids[1:])])
    for again in (catalog, FileCatalog(tmp_path)):
        for number, sid in enumerate(sids):
            assert again.register("cpu", {"n": str(number)}, entity=CART, tenant="main") == (sid, False)
    for number, sid in enumerate(sids[1:], 1):
        assert late_first.register("cpu", {"n": str(number)}, entity=CART, tenant="main") == (sid, False), (
            "a series whose own hash is free again keeps the sid that it was given"
        )


def test_a_torn_last_line_is_left_out_and_written_over(tmp_path: Path) -> None:
    sids = filled(tmp_path, 3)
    path = tmp_path / "series.jsonl"
    whole = path.read_bytes()
    for cut in range(len(whole.splitlines(keepends=True)[0]), len(whole)):
        path.write_bytes(whole[:cut])
        catalog = FileCatalog(tmp_path)
        assert catalog.count(tenant="main") == whole[:cut].count(b"\n")
        new, _ = catalog.register("mem", {}, entity=CART, tenant="main")
        catalog.save()
        again = FileCatalog(tmp_path)
        assert again.get(new, tenant="main").metric == "mem"
        assert again.get(sids[0], tenant="main").labels == {"n": "0"}


@pytest.mark.parametrize("damage", [b"0000", b"\xff\xff\xff\xff", b"\t\t\t\t"])
def test_a_damaged_line_costs_nothing_but_itself(tmp_path: Path, damage: bytes) -> None:
    sids = filled(tmp_path, 3)
    path = tmp_path / "series.jsonl"
    parts = path.read_bytes().splitlines(keepends=True)
    parts[1] = parts[1][:20] + damage + parts[1][24:]
    path.write_bytes(b"".join(parts))
    catalog = FileCatalog(tmp_path)
    assert catalog.damaged_lines() == 1
    assert catalog.count(tenant="main") == 2
    with pytest.raises(NotFound):
        catalog.get(sids[1], tenant="main")
    assert catalog.register("cpu", {"n": "1"}, entity=CART, tenant="main") == (sids[1], True)


def test_without_space_definitions_stay_to_be_saved_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path, 1)
    catalog = FileCatalog(tmp_path)
    sid, _ = catalog.register("mem", {}, entity=CART, tenant="main")
    with monkeypatch.context() as broken:

        def full(fd: int, data: bytes, offset: int) -> int:
            raise OSError(errno.ENOSPC, "No space left on device", fd, data, offset)

        broken.setattr(os, "pwrite", full)
        with pytest.raises(StorageFull):
            catalog.save()
    catalog.save()
    assert FileCatalog(tmp_path).get(sid, tenant="main").metric == "mem"


def test_another_process_reads_what_is_saved_and_cuts_nothing_off(tmp_path: Path) -> None:
    writer, reader = FileCatalog(tmp_path), FileCatalog(tmp_path)
    path = tmp_path / "series.jsonl"
    for number in range(3):
        sid, _ = writer.register("cpu", {"n": str(number)}, entity=CART, tenant="main")
        writer.save()
        with path.open("ab") as file:
            file.write(b"half a li")  # as a writer that is at it would look
        reader.refresh()
        assert reader.get(sid, tenant="main").labels == {"n": str(number)}
        assert path.read_bytes().endswith(b"half a li")
    writer.save()


def test_labels_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        FileCatalog(tmp_path).register("cpu", {"a": "\ud800"}, entity=CART, tenant="main")
    assert caught.value.reason == "labels"


def test_a_lazy_catalog_reads_when_it_is_asked(tmp_path: Path) -> None:
    lazy = FileCatalog(tmp_path, lazy=True)
    writer = FileCatalog(tmp_path)
    sid, _ = writer.register("a", {"b": "c"}, entity="service:x", tenant="main")
    writer.save()
    assert lazy.get(sid, tenant="main").labels == {"b": "c"}
    assert lazy.count(tenant="main") == 1
    again = FileCatalog(tmp_path, lazy=True)
    assert again.register("a", {"b": "c"}, entity="service:x", tenant="main") == (sid, False)
