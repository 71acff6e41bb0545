"""One trace for people: how long each span worked itself, and the path that decided how long the whole took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from twofold.stats.traces.columns import CONSUMER, PRODUCER

_APART: Final = frozenset({PRODUCER, CONSUMER})


class Node(NamedTuple):
    """What is asked of a span. `parent` is empty for a root."""

    span: str
    parent: str
    entity: str
    kind: int
    start_ns: int
    duration_ns: int


@dataclass(slots=True)
class Spent:
    """Where a span's time went.

    Attributes:
        shift_ns: Added to its start, because its host's clock does not fit its caller's.
        own_ns: Of its duration, while no child was at work that it could wait for.
        critical: Stretches (start, length) by the shifted clock in which the whole trace waited for this span itself.
    """

    start_ns: int
    end_ns: int
    shift_ns: int = 0
    own_ns: int = 0
    critical: list[tuple[int, int]] = field(default_factory=list)

    @property
    def critical_ns(self) -> int:
        """Length of these stretches."""
        return sum(length for _, length in self.critical)


def spent(nodes: Sequence[Node]) -> Mapping[str, Spent]:
    """By span id. Spans sent twice count once; a missing parent makes a root; parents in a ring are cut open.

    A child of another service that lies outside of its parent is moved: aligned in the middle if it fits, else to the
    parent's start, with all below it of the same service (Jaeger's clock skew adjuster). A child that ends after its
    parent was not waited for. The critical path begins at the longest root and goes back from its end, each time into
    the child that ended last before (Zhang et al. 2022, "CRISP: critical path analysis of large-scale microservice
    architectures").
    """
    known = {node.span: node for node in reversed(nodes)}
    below: dict[str, list[str]] = {}
    for node in known.values():
        parent = node.parent if node.parent in known and node.parent != node.span else ""
        below.setdefault(parent, []).append(node.span)
    found: dict[str, Spent] = {}
    roots = _order(known, below)
    for key in roots.order:
        node = known[key]
        parent_key = roots.parents[key]
        shift_ns = _shift(node, known[parent_key], found[parent_key]) if parent_key else 0
        begins = node.start_ns + shift_ns
        found[key] = Spent(begins, begins + max(node.duration_ns, 0), shift_ns)
    waited = {key: _waited(known[key], found, known, below.get(key, ())) for key in found}
    for key, each in found.items():
        each.own_ns = each.end_ns - each.start_ns - _union((found[child] for child in waited[key]), each)
    if roots.roots:
        longest = max(roots.roots, key=lambda key: (found[key].end_ns - found[key].start_ns, key))
        _mark(longest, found, waited)
    return found


class _Walk(NamedTuple):
    roots: list[str]
    order: list[str]
    parents: dict[str, str]


def _order(known: Mapping[str, Node], below: dict[str, list[str]]) -> _Walk:
    """Parents before children."""
    walk = _Walk(list(below.get("", ())), [], {})
    waiting = [(root, "") for root in walk.roots]
    rest = iter(sorted(known, key=lambda key: (known[key].start_ns, key)))
    while True:
        while waiting:
            key, parent = waiting.pop()
            if key in walk.parents:
                continue
            walk.order.append(key)
            walk.parents[key] = parent
            waiting.extend((child, key) for child in below.get(key, ()))
        cut = next((key for key in rest if key not in walk.parents), None)
        if cut is None:
            return walk
        above = known[cut].parent
        below[above].remove(cut)
        walk.roots.append(cut)
        waiting.append((cut, ""))


def _shift(node: Node, parent: Node, above: Spent) -> int:
    if node.entity == parent.entity:
        return above.shift_ns
    if node.kind == CONSUMER:
        return 0
    room, lasts = above.end_ns - above.start_ns, max(node.duration_ns, 0)
    if above.start_ns <= node.start_ns and node.start_ns + lasts <= above.end_ns:
        return 0
    if lasts > room:
        return above.start_ns - node.start_ns if node.start_ns < above.start_ns else 0
    return above.start_ns + (room - lasts) // 2 - node.start_ns


def _waited(
    node: Node, found: Mapping[str, Spent], known: Mapping[str, Node], children: Iterable[str]
) -> Sequence[str]:
    """Children that the span may have waited for, last end first."""
    ends_ns = found[node.span].end_ns
    chosen = [
        child
        for child in children
        if found[child].end_ns <= ends_ns and not (known[child].kind == CONSUMER and node.kind in _APART)
    ]
    return sorted(chosen, key=lambda child: (-found[child].end_ns, found[child].start_ns, child))


def _union(children: Iterable[Spent], within: Spent) -> int:
    total, from_ns = 0, within.end_ns
    for child in children:  # last end first
        begins, ends = max(child.start_ns, within.start_ns), min(child.end_ns, from_ns)
        if ends > begins:
            total += ends - begins
        from_ns = min(from_ns, max(begins, within.start_ns))
    return total


def _mark(root: str, found: Mapping[str, Spent], waited: Mapping[str, Sequence[str]]) -> None:
    waiting = [root]
    while waiting:
        key = waiting.pop()
        span = found[key]
        until_ns = span.end_ns
        for child in waited[key]:
            other = found[child]
            if other.end_ns > until_ns or other.end_ns <= span.start_ns:
                continue
            if until_ns > other.end_ns:
                span.critical.append((other.end_ns, until_ns - other.end_ns))
            waiting.append(child)
            until_ns = max(other.start_ns, span.start_ns)
        if until_ns > span.start_ns:
            span.critical.append((span.start_ns, until_ns - span.start_ns))
        span.critical.reverse()
