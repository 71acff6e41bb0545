"""Trees of scikit-learn inside a loaded model: their indices are checked before anyone predicts.

scikit-learn walks a tree's arrays without bounds checks, so a crafted file could read foreign
memory. A tree whose children and features stay inside their arrays, and whose children come
after their parent, cannot.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from twofold.errors import Denied

TREE: Final = "sklearn.tree._tree.Tree"
PREDICTOR: Final = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
TRUSTED_TREES: Final = frozenset({TREE, PREDICTOR})


def check_trees(model: object) -> None:
    """Check every tree that the model holds. Raises `Denied` for one with indices out of bounds."""
    seen: set[int] = set()
    waiting: list[object] = [model]
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, str | bytes | int | float | type(None)):
            continue
        seen.add(id(found))
        name = f"{type(found).__module__}.{type(found).__qualname__}"
        if name == TREE:
            _check_tree(found)
        elif name == PREDICTOR:
            _check_predictor(found)
        elif isinstance(found, dict):
            waiting.extend(found.values())
        elif isinstance(found, list | tuple | set):
            waiting.extend(found)
        elif isinstance(found, np.ndarray):
            if found.dtype == object:
                waiting.extend(found.ravel().tolist())
        else:
            waiting.extend(getattr(found, "__dict__", {}).values())


def _check_tree(tree: Any) -> None:
    count, features = int(tree.node_count), int(tree.n_features)
    left, right = np.asarray(tree.children_left), np.asarray(tree.children_right)
    inner = left != -1
    _demand(count >= 1 and len(left) == count == len(right), "a tree without nodes")
    own = np.arange(count)[inner]
    for child in (left[inner], right[inner]):
        _demand(bool(np.all((child > own) & (child < count))), f"a child outside its {count} nodes")
    used = np.asarray(tree.feature)[inner]
    _demand(bool(np.all((used >= 0) & (used < features))), f"a feature outside its {features}")


def _check_predictor(predictor: Any) -> None:
    nodes = predictor.nodes
    inner = nodes["is_leaf"] == 0
    own = np.arange(len(nodes))[inner]
    _demand(len(nodes) >= 1, "a tree without nodes")
    for side in ("left", "right"):
        child = nodes[side][inner].astype(np.int64)
        _demand(bool(np.all((child > own) & (child < len(nodes)))), f"a child outside its {len(nodes)} nodes")
    used = nodes["feature_idx"][inner]
    _demand(bool(np.all(used >= 0)), "a negative feature")
    categorical = nodes["is_categorical"][inner] != 0
    bitsets = nodes["bitset_idx"][inner][categorical]
    limit = len(predictor.raw_left_cat_bitsets)
    _demand(bool(np.all(bitsets < limit)), f"a category set outside its {limit}")


def _demand(fact: bool, wrong: str) -> None:  # noqa: FBT001 - an assertion by another name
    if not fact:
        raise Denied(f"the model file holds {wrong}: it was not written by scikit-learn")
