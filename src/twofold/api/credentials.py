"""Secrets: hashed with scrypt, made at random, told once. Tokens: only their SHA-256 is kept.

A token's text is `tf.<tenant>.<random>`: the tenant in it says where to look it up, its hash says whether it is real.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from twofold.errors import Conflict, InputError, Overloaded, Unauthenticated
from twofold.records.access import Permission, Role, Token, User
from twofold.records.entity import DEFAULT_TENANT
from twofold.store.ledger import Ledger

MIN_SECRET: Final = 12  # characters; NIST SP 800-63B asks for at least 8
_LOG2_N, _R, _P = 14, 8, 1  # 16 MiB and about 50 ms a try; OWASP's least is 2^14, 8, 5 or 2^17, 8, 1
_PREFIX: Final = "tf"
SESSION: Final = "session"
API: Final = "api"


def hash_secret(secret: str) -> str:
    """`scrypt$<log2 n>$<r>$<p>$<salt>$<hash>`, salt and hash in hex. About 50 ms on purpose.

    Raises:
        InputError: Shorter than `MIN_SECRET` characters.
    """
    if len(secret) < MIN_SECRET:
        raise InputError(f"the secret has {len(secret)} characters, needs {MIN_SECRET}", reason="weak_secret")
    salt = secrets.token_bytes(16)
    return f"scrypt${_LOG2_N}${_R}${_P}${salt.hex()}${_scrypt(secret, salt, _LOG2_N, _R, _P).hex()}"


def verify_secret(secret: str, hashed: str) -> bool:
    """Whether `hashed` came from this secret; takes the same time when it did not."""
    kind, log2_n, r, p, salt, expected = hashed.split("$")
    found = _scrypt(secret, bytes.fromhex(salt), int(log2_n), int(r), int(p))
    return kind == "scrypt" and hmac.compare_digest(found, bytes.fromhex(expected))


def _scrypt(secret: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, n=2**log2_n, r=r, p=p, maxmem=2 ** (log2_n + 11), dklen=32)


_DECOY: Final = "scrypt$14$8$1$" + "00" * 16 + "$" + "00" * 32  # what an unknown name is checked against


def new_user(ledger: Ledger, *, name: str, role: Role, secret: str, tenant: str) -> tuple[User, str]:
    """Create a user and give back the secret, made up when empty. Raises `Conflict` when the name is taken."""
    if "/" in name:
        raise InputError(f"{name!r} holds '/', which parts tenant from name at log-in", reason="name")
    secret = secret or secrets.token_urlsafe(18)
    user = User(
        id=name, name=name, role=role, secret_hash=hash_secret(secret), created=datetime.now(UTC), tenant=tenant
    )

    def build(_newest: User | None) -> User:
        return user

    try:
        ledger.append_next(User, build, tenant=tenant, where={"name": name})
    except Conflict as error:
        raise Conflict(f"there is a user {name!r} already; choose another name", name=name) from error
    return user, secret


def bootstrap_admin(ledger: Ledger, *, tenant: str = DEFAULT_TENANT) -> str | None:
    """Make the first user, `admin`, and give back the secret to print once; None when there are users already."""
    if ledger.count(User, tenant=tenant):
        return None
    return new_user(ledger, name="admin", role=Role.ADMIN, secret="", tenant=tenant)[1]


def check_log_in(ledger: Ledger, name: str, secret: str) -> User:
    """The user of a name (or `tenant/name`) and secret.

    Raises:
        Unauthenticated: Unknown, disabled or wrong; which one is not told.
    """
    tenant, _, local = name.rpartition("/")
    found = ledger.find(User, tenant=tenant or DEFAULT_TENANT, where={"name": local, "disabled": False}, limit=1)
    right = verify_secret(secret, found[0].secret_hash if found else _DECOY)
    if not found or not right:
        raise Unauthenticated("name or secret is wrong")
    return found[0]


def issue_token(
    ledger: Ledger, user: User, *, name: str, kind: str, scopes: Sequence[str], lasts_s: float | None
) -> tuple[Token, str]:
    """A new token of the user and its text, which nobody can read again."""
    text = f"{_PREFIX}.{user.tenant}.{secrets.token_urlsafe(32)}"
    now = datetime.now(UTC)
    token = Token(
        id=uuid.uuid4().hex,
        user=user.id,
        name=name,
        kind=kind,
        scopes=tuple(scopes),
        sha256=_digest(text),
        created=now,
        expires=now + timedelta(seconds=lasts_s) if lasts_s else None,
        tenant=user.tenant,
    )
    ledger.put(token)
    return token, text


def find_token(ledger: Ledger, text: str) -> tuple[Token, User]:
    """The live token of this text and its user. Raises `Unauthenticated`."""
    prefix, _, rest = text.partition(".")
    tenant = rest.rpartition(".")[0]
    if prefix != _PREFIX or not tenant:
        raise Unauthenticated("the token is not one of ours; make one under Settings or with `twofold token`")
    found = ledger.find(Token, tenant=tenant, where={"sha256": _digest(text), "revoked": False}, limit=1)
    if not found or _expired(found[0]):
        raise Unauthenticated("the token is unknown, revoked or expired; log in again or make a new one")
    users = ledger.find(User, tenant=tenant, where={"id": found[0].user, "disabled": False}, limit=1)
    if not users:
        raise Unauthenticated("the token's user is disabled")
    return found[0], users[0]


def check_scopes(scopes: Sequence[str], held: frozenset[Permission]) -> None:
    """Raises `InputError` unless every scope is a permission that the caller holds."""
    grantable = {permission.value for permission in held}
    if unknown := sorted(set(scopes) - grantable):
        raise InputError(
            f"scopes {', '.join(unknown)} are not yours to give; choose from {', '.join(sorted(grantable))}",
            reason="scope",
        )


def _expired(token: Token) -> bool:
    return token.expires is not None and token.expires <= datetime.now(UTC)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class FailureLimit:
    """Slows down guessing: after `most` failures of one name or address in `window_s`, it must wait.

    Kept in memory: a restart forgives. Holds at most `_KEPT` names, the oldest go first.
    """

    _KEPT: Final = 10_000

    def __init__(self, *, most: int = 5, window_s: float = 300.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._window_s = window_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, deque[float]] = {}

    def check(self, *keys: str) -> None:
        """Raises `Overloaded` with the time to wait when one of the keys failed too often."""
        now = self._clock()
        with self._lock:
            for key in keys:
                times = self._failures.get(key, deque())
                while times and times[0] <= now - self._window_s:
                    times.popleft()
                if len(times) >= self._most:
                    wait_s = int(times[0] + self._window_s - now) + 1
                    raise Overloaded(f"too many failed log-ins; wait {wait_s} s", retry_after_s=wait_s)

    def failed(self, *keys: str) -> None:
        """Count a failure."""
        with self._lock:
            for key in keys:
                self._failures.setdefault(key, deque(maxlen=self._most)).append(self._clock())
            while len(self._failures) > self._KEPT:
                self._failures.pop(next(iter(self._failures)))

    def passed(self, *keys: str) -> None:
        """Forget the failures."""
        with self._lock:
            for key in keys:
                self._failures.pop(key, None)
