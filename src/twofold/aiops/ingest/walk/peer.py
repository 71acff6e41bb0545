"""What the attributes of a span say of its outcome and of its peer, as far as a walker needs to know.

The peer itself is named in Python, once for all spans of a request whose attributes say the same of it:
`note` folds what `entities.peer_entity` reads into a hash, without the parts that it does not look at.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twofold.aiops.ingest.walk.pointer import U, digest, load8, load64, round_, span
from twofold.aiops.ingest.walk.text import head, varint
from twofold.stats.jit import part


def _word(text: bytes) -> np.uint64:
    return U(int.from_bytes(text[:8], "little"))


_STRING, _INT = 10, 24
_SLASH, _QUESTION, _HASH = 0x2F, 0x3F, 0x23
_NEWLINE: Final = 10
_INFER: Final = int.from_bytes(b"/infer", "little")
_INFER_SIZE: Final = 6
_SCHEME_END: Final = 0x2F2F3A  # ://
_URL_PATH, _URL_FULL, _HTTP_URL = _word(b"url.path"), _word(b"url.full"), _word(b"http.url")
_PEER_SERVICE, _SERVER_ADDRESS, _NET_PEER = _word(b"peer.service"), _word(b"server.address"), _word(b"net.peer.name")
_DB_SYSTEM, _DB_NAMESPACE, _DB_NAME = _word(b"db.system"), _word(b"db.namespace"), _word(b"db.name")
_MESSAGING, _MODEL = _word(b"messaging.destination"), _word(b"twofold.model")
_STATUS_NEW = tuple(_word(b"http.response.status_code"[at:]) for at in (0, 8, 16))
_STATUS_OLD = tuple(_word(b"http.status_code"[at:]) for at in (0, 8))
_STATUS_NEW_SIZE, _STATUS_OLD_SIZE = 25, 16
_LAST_OF_NEW: Final = 0x65
_SERVER_ERROR: Final = 500
FAILED_NEW, SAID_NEW, FAILED_OLD = 1, 2, 4
"""What HTTP said, by the new name of its attribute and by the old one."""


@part
def http_status(key: int, key_end: int, value: int, value_end: int) -> int:  # pragma: no cover - compiled
    """Which of the facts above this attribute adds."""
    size = key_end - key
    new = (
        size == _STATUS_NEW_SIZE
        and load64(key) == _STATUS_NEW[0]
        and load64(key + 8) == _STATUS_NEW[1]
        and load64(key + 16) == _STATUS_NEW[2]
        and load8(key + 24) == _LAST_OF_NEW
    )
    old = size == _STATUS_OLD_SIZE and load64(key) == _STATUS_OLD[0] and load64(key + 8) == _STATUS_OLD[1]
    if not new and not old:
        return 0
    failed = False
    if value < value_end and load8(value) == _INT:
        number, _ = varint(value + 1)
        failed = bool(np.int64(number) >= _SERVER_ERROR)
    if old:
        return FAILED_OLD if failed else 0
    return SAID_NEW | FAILED_NEW if failed else SAID_NEW


@part
def note(key: int, key_end: int, value: int, value_end: int, h: np.uint64) -> np.uint64:  # pragma: no cover - compiled
    """The hash with this attribute, if it is a text that may name a peer."""
    if value == value_end or load8(value) != _STRING:
        return h
    word = head(key, key_end)
    size = key_end - key
    url = size == 8 and word in (_URL_FULL, _HTTP_URL)  # noqa: PLR2004 - bytes of a word
    path = size == 8 and word == _URL_PATH  # noqa: PLR2004
    if not (url or path or _may_name(word, size)):
        return h
    p, end = span(value + 1, value_end)
    h = round_(h, word ^ U(size))
    if (path or url) and p < end and not _asks_model(p, end):
        if path:
            return round_(h, U(1))
        end = _authority_end(p, end)
    return digest(p, end, h, 0)


@part
def _may_name(word: np.uint64, size: int) -> bool:  # pragma: no cover - compiled
    """By the first eight bytes and the length: a key taken for one of these costs a name more, nothing else."""
    if word in (_PEER_SERVICE, _DB_NAMESPACE):
        return size == 12  # noqa: PLR2004
    if word == _SERVER_ADDRESS:
        return size == 14  # noqa: PLR2004
    if word in (_NET_PEER, _MODEL):
        return size == 13  # noqa: PLR2004
    if word == _DB_SYSTEM:
        return size in (9, 14)
    if word == _MESSAGING:
        return size in (21, 26)
    return bool(word == _DB_NAME and size == 7)  # noqa: PLR2004


@part
def _asks_model(p: int, end: int) -> bool:  # pragma: no cover - compiled
    """Whether a path or address may end as the Open Inference Protocol's do; a line's end may follow."""
    if end > p and load8(end - 1) == _NEWLINE:
        end -= 1
    if end - p < _INFER_SIZE:
        return False
    return bool(np.int64(load64(end - _INFER_SIZE) & U(0xFFFFFFFFFFFF)) == _INFER)


@part
def _authority_end(p: int, end: int) -> int:  # pragma: no cover - compiled
    """Behind the character that ends the authority of an address; its end without one."""
    while p + 3 <= end and np.int64(load64(p) & U(0xFFFFFF)) != _SCHEME_END:
        p += 1
    p += 3
    while p < end:
        one = load8(p)
        p += 1
        if one in (_SLASH, _QUESTION, _HASH):
            return p
    return end
