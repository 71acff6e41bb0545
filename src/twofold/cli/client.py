"""The REST client of the commands: where the server is, who calls, and what its answers mean for a shell."""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twofold.cli.output import Exit, fail

if TYPE_CHECKING:
    import httpx

CLIENT_FILE: Final = "client.json"
_CODES: Final = {
    400: Exit.USAGE,
    401: Exit.DENIED,
    403: Exit.DENIED,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    422: Exit.USAGE,
}
_FAILED: Final = 400


class Api:
    """Calls one Twofold. Errors end the command with a sentence and a stable exit code."""

    def __init__(self, url: str, token: str) -> None:
        import httpx

        self.url = url
        self.token = token
        headers = {"authorization": f"Bearer {token}"} if token else {}
        try:
            self._http = httpx.Client(base_url=url, timeout=30.0, headers=headers, trust_env=False)
        except httpx.InvalidURL as error:
            fail(f"TWOFOLD_URL {url!r} is no address: {error}", Exit.USAGE)
        weakref.finalize(self, self._http.close)

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON answer of a GET; empty parameters are left out."""
        return self.call("GET", path, parameters={k: v for k, v in parameters.items() if v not in (None, "")})

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON answer of a POST."""
        return self.call("POST", path, body=body or {})

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Any:
        """The JSON answer, None when it is empty."""
        answer = self._send(method, path, body, parameters)
        if answer.status_code >= _FAILED:
            fail(_reason(answer), _CODES.get(answer.status_code, Exit.FAILED))
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError:
            fail(f"what answers at {self.url} is no Twofold: {path} gave no JSON", Exit.UNREACHABLE)

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, parameters: Mapping[str, Any] | None
    ) -> httpx.Response:
        import httpx

        try:
            return self._http.request(method, path, json=body, params=parameters)
        except httpx.InvalidURL as error:
            fail(f"{path!r} at {self.url!r} is no address: {error}", Exit.USAGE)
        except ValueError as error:  # NaN and infinity are no JSON
            fail(f"that cannot be sent: {error}", Exit.USAGE)
        except httpx.HTTPError as error:
            fail(
                f"no Twofold answers at {self.url} ({type(error).__name__}); start one with `twofold up`",
                Exit.UNREACHABLE,
            )


def _reason(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        return str(problem.get("detail") or problem.get("title") or problem)
    except (ValueError, AttributeError):
        return f"{answer.request.method} {answer.request.url.path} answered {answer.status_code}"


def connect() -> Api:
    """The server that the environment names, or the one whose data folder lies here, or the user's own.

    Its address and token stand in `client.json`, which `twofold up` writes for its owner alone.
    """
    from twofold.config import client_environment

    url, token, homes = client_environment()
    if url:
        return Api(url, token)
    for home in homes:
        found = read_client(home)
        if found:
            return Api(found["url"], token or found["token"])
    return Api("http://127.0.0.1:7070", token)


def read_client(home: Path) -> dict[str, str] | None:
    """What `twofold up` wrote into a data folder, or None."""
    path = home / CLIENT_FILE
    if not path.exists():
        return None
    loaded = json.loads(path.read_text())
    return {"url": str(loaded["url"]), "token": str(loaded["token"])}
