"""All templates of a miner, with their counts, structures and former names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Final

import numpy as np

from twofold.aiops.detect.mining.shapes import Shapes
from twofold.aiops.detect.mining.template import Bucket, Structure, Template, content_id, render
from twofold.stats.text.lines import HOLE, UNSEEN, WILD
from twofold.stats.text.shapes import Tally, find, hash_of, put
from twofold.stats.text.words import Bools, Int64s

MOST_ALIASES: Final = 50_000
_FEWEST: Final = 256
_REMEMBERED: Final = 1 << 18


class Book:
    """Templates by id, by row and by structure; knows what an id given out earlier is called now.

    Args:
        most: Templates held. Beyond, an eighth goes: those of a single line's shape first, longest unseen first.
            Their ids are made of their text: the same line brings the same id back.
        samples: Lines per template that are looked at again for the values they hold.

    Attributes:
        aliases: Former id to the id it became part of.
        tally: Counts per row.
        alive: Rows that hold a template.
        forms: Templates that share an id, oldest first; `templates` holds the one that speaks for them.
        buckets: Templates by structure.
        free: Rows to give out next, last first.
        given, remembered: Hash table of the ids given out, as far back as it reaches, and its entries.
        evicted: Templates dropped so far.
    """

    def __init__(self, shapes: Shapes, *, most: int, samples: int) -> None:
        self.shapes = shapes
        self.templates: dict[int, Template] = {}
        self.forms: dict[int, list[Template]] = {}
        self._kin: dict[tuple[int, ...] | str, int] = {}
        self.aliases: dict[int, int] = {}
        self.evicted = 0
        self._most, self._samples = most, samples
        self.buckets: dict[Structure, Bucket] = {}
        self._by_row: list[Template | None] = []
        self.given: Int64s = np.zeros(_REMEMBERED, np.int64)
        self.remembered = 0
        self.free: list[int] = []
        self._gone: list[int] = []
        self.tally = Tally(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int64))
        self.alive: Bools = np.zeros(0, np.bool_)
        self._grow(_FEWEST)

    def _grow(self, size: int) -> None:
        old = len(self._by_row)
        self._by_row += [None] * (size - old)
        self.free = list(range(size - 1, old - 1, -1))
        self.tally = Tally(*(np.concatenate([each, np.zeros(size - old, each.dtype)]) for each in self.tally))
        self.alive = np.concatenate([self.alive, np.zeros(size - old, np.bool_)])

    def ids(self) -> Int64s:
        """Template id of each row; 0 for rows never used."""
        return np.array([template.id if template else 0 for template in self._by_row], np.int64)

    def at(self, row: int) -> Template | None:
        """What the row stands for, also after a merge."""
        return self._by_row[row]

    def settle(self, template: int) -> int:
        """What an id given out earlier is called now."""
        while template in self.aliases:
            template = self.aliases[template]
        return template

    def bucket(self, structure: Structure) -> Bucket:
        """The templates of a structure."""
        found = self.buckets.get(structure)
        if found is None:
            found = self.buckets[structure] = Bucket(structure[1])
        return found

    def create(
        self, structure: Structure, gaps: tuple[str, ...], words: tuple[str, ...], symbols: Int64s, clock: int
    ) -> tuple[Template, bool]:
        """A template of one line's shape, and whether it is neither a form of another nor was there before."""
        if len(self.templates) >= self._most:
            self._evict()
        if not self.free:
            self._grow(2 * len(self._by_row))
        identity = self.settle(content_id(render(gaps, words, symbols)))
        while identity in self.templates:
            identity = content_id(f"{identity:016x}")
        template = Template(identity, self.free.pop(), structure, gaps, words, symbols)
        self.tally.counts[template.row] = 0
        self.tally.seen[template.row] = clock
        self.tally.budget[template.row] = self._samples if template.same() else 0
        self.tally.literal[template.row] = 0
        self._enlist(template)
        self.register(template, clock)
        self.unite(template)
        return template, template.id == identity and self._remember(identity)

    def _remember(self, identity: int) -> bool:
        """Whether the id is given out for the first time, as far back as memory goes."""
        if find(self.given, identity) >= 0:
            return False
        if 2 * (self.remembered + 1) >= len(self.given):
            self.given[:] = 0
            self.remembered = 0
        put(self.given, identity)
        self.remembered += 1
        return True

    def _enlist(self, template: Template) -> None:
        self._by_row[template.row] = self.templates[template.id] = template
        self.forms[template.id] = [template]
        self.alive[template.row] = True
        for word in template.constants():
            self.shapes.count_word(word, 1)
        self.bucket(template.structure).add(template)

    def register(self, template: Template, clock: int) -> None:
        """The shape of the template itself is known from now on, with an unseen word in each hole."""
        symbols = np.where(template.symbols == HOLE, UNSEEN, template.symbols)
        key = int(hash_of(len(symbols), template.structure[0], symbols, self.shapes.known))
        self.shapes.enter(key, template.row, clock, self.alive)

    def merge(self, bucket: Bucket, indices: Iterable[int], places: Sequence[int], clock: int) -> int:
        """Make these members one, with a hole at each place; gives the index of the oldest, which stays."""
        first, *others = sorted(indices)
        kept = bucket.members[first]
        for i, place in product((first, *others), places):
            member = bucket.members[i]
            if member.symbols[place] not in {HOLE, WILD}:
                kept.note(place, member.words[place], int(self.tally.counts[member.row]) or 1)
                self.shapes.take(member.words[place])
        for symbol in kept.symbols[list(places)].tolist():
            if symbol not in {HOLE, WILD}:
                self.shapes.count_word(symbol, -1)
        for i in others:
            self._absorb(kept, bucket.members[i])
        self._forget_kin(kept)
        symbols = kept.symbols.copy()
        symbols[list(places)] = HOLE
        kept.symbols = symbols
        bucket.refresh(first)
        bucket.remove(set(others))
        self.register(kept, clock)
        self.unite(kept)
        return first

    def unite(self, template: Template) -> None:
        """Give a template the id of the one that it is a form of, when there is such a one."""
        kin = template.kin()
        other = self._kin.get(kin, template.id)
        if other != template.id:
            self._rename(template.id, other)
        elif self.templates[template.id] is template:
            self._kin[kin] = template.id

    def kin(self) -> list[int]:
        """Ids whose forms are found."""
        return list(self._kin.values())

    def _forget_kin(self, template: Template) -> None:
        """The template no longer speaks for its id, or is about to change."""
        kin = template.kin()
        if self.templates[template.id] is template and self._kin.get(kin) == template.id:
            del self._kin[kin]

    def _rename(self, old: int, new: int) -> None:
        """All forms of one id become forms of another."""
        self._forget_kin(self.templates[old])
        for form in self.forms.pop(old):
            form.id = new
            self.forms[new].append(form)
        self.aliases[old] = new
        if len(self.aliases) > MOST_ALIASES:
            del self.aliases[next(iter(self.aliases))]
        del self.templates[old]

    def _absorb(self, kept: Template, gone: Template) -> None:
        for place, held in gone.values.items():
            for value, times in held.items():
                kept.note(place, value, times)
        self.tally.counts[kept.row] += self.tally.counts[gone.row]
        self.tally.seen[kept.row] = max(self.tally.seen[kept.row], self.tally.seen[gone.row])
        self.shapes.move(gone.row, kept.row)
        kept.merged += 1 + gone.merged
        if gone.id != kept.id:
            self._rename(gone.id, kept.id)
        self._leave(gone)
        self._by_row[gone.row] = kept

    def _leave(self, template: Template) -> None:
        for word in template.constants():
            self.shapes.count_word(word, -1)
        self._forget_kin(template)
        self.alive[template.row] = False
        self._gone.append(template.row)
        forms = self.forms[template.id]
        forms.remove(template)
        if not forms:
            del self.forms[template.id], self.templates[template.id]
        elif self.templates[template.id] is template:
            self.templates[template.id] = forms[0]
            self._kin.setdefault(forms[0].kin(), template.id)

    def resume(
        self, templates: dict[int, tuple[Template, bool]], order: list[list[int]], free: list[int], kin: list[int]
    ) -> None:
        """Hold these templates by row (and whether each speaks for its id), with their buckets in this order.

        Forms of the ids in `kin` are found.

        Tally, shapes and aliases are set already.
        """
        rows = len(self.tally.counts)
        self._by_row, self.alive = [None] * rows, np.zeros(rows, np.bool_)
        self.templates, self.forms, self.buckets, self._kin = {}, {}, {}, {}
        for row, (template, primary) in templates.items():
            self._by_row[row] = template
            self.alive[row] = True
            self.forms.setdefault(template.id, []).append(template)
            if primary:
                self.templates[template.id] = template
        self._kin = {self.templates[identity].kin(): identity for identity in kin}
        for members in order:
            for row in members:
                template = templates[row][0]
                self.bucket(template.structure).add(template)
        self.free, self._gone = list(free), []

    def reuse_rows(self) -> None:
        """Rows that were given up may be given out again: nobody holds their numbers any more."""
        for row in self._gone:
            self._by_row[row] = None
        self.free += self._gone
        self._gone = []

    def _evict(self) -> None:
        order = sorted(
            (form for forms in self.forms.values() for form in forms),
            key=lambda t: (t.merged > 0, self.tally.seen[t.row], t.row),
        )
        going = order[: max(1, len(order) // 8)]
        rows = {template.row for template in going}
        for structure in {template.structure for template in going}:
            bucket = self.buckets[structure]
            bucket.remove({i for i, member in enumerate(bucket.members) if member.row in rows})
            if not bucket.members:
                del self.buckets[structure]
        for template in going:
            self._leave(template)
        self.evicted += len(going)
        self.shapes.forget(self.alive)
