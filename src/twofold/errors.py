"""The tree of errors. Retry code asks only: permanent or transient?

    TwofoldError
    ├── Permanent               the same call fails again
    │   ├── ConfigError         a setting is wrong; stops start-up
    │   ├── InputError          bad input from outside
    │   │   ├── DecodeError     bytes that are not what they claim
    │   │   └── TooLarge        past a stated limit
    │   ├── NotFound            no such thing
    │   ├── Conflict            the thing is in another state than the call assumes
    │   ├── Denied              authenticated, not allowed
    │   ├── Unauthenticated     no or bad credentials
    │   ├── Corrupt             stored bytes fail their check
    │   └── Unsupported         valid, but not in this version
    └── Transient               the same call may succeed later
        ├── Overloaded          a queue or limit is full; says when to come back
        ├── Unavailable         a part that is needed does not answer
        └── StorageFull         no space left; reads go on

A message holds the value, the limit and the next step. Facts stay as attributes.
"""

from __future__ import annotations


class TwofoldError(Exception):
    """Root of all errors that Twofold raises on purpose.

    Args:
        message: What happened, with the value, the limit and the next step.
        facts: The same facts, typed, for logs and problem+json.
    """

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class Permanent(TwofoldError):
    """The same call fails again."""


class ConfigError(Permanent):
    """A setting is wrong; stops start-up."""


class InputError(Permanent):
    """Bad input from outside; counted under `reason`.

    Args:
        reason: Short snake_case word under which it is counted.
    """

    def __init__(self, message: str, *, reason: str = "invalid", **facts: object) -> None:
        super().__init__(message, **facts)
        self.reason = reason


class DecodeError(InputError):
    """Bytes that are not what they claim to be."""


class TooLarge(InputError):
    """Past a stated limit."""


class NotFound(Permanent):
    """No such thing."""


class Conflict(Permanent):
    """The thing is in another state than the call assumes."""


class Denied(Permanent):
    """Authenticated, but not allowed."""


class Unauthenticated(Permanent):
    """No credentials, or bad ones."""


class Corrupt(Permanent):
    """Stored bytes fail their check."""


class Unsupported(Permanent):
    """Valid, but not in this version."""


class Transient(TwofoldError):
    """The same call may succeed later."""


class Overloaded(Transient):
    """A queue or limit is full.

    Args:
        retry_after_s: When to come back.
    """

    def __init__(self, message: str, *, retry_after_s: int = 1, **facts: object) -> None:
        super().__init__(message, **facts)
        self.retry_after_s = retry_after_s


class Unavailable(Transient):
    """A part that is needed does not answer."""


class StorageFull(Transient):
    """No space left on the device; reads go on."""
