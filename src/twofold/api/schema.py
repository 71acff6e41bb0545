"""The OpenAPI document, for people and for the client that the web UI generates from it.

python -m twofold.api.schema > web/openapi.json
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import twofold
from twofold.api.problems import MEDIA_TYPE, Problem
from twofold.api.routes import ROUTERS
from twofold.api.views.system import ChangeNotice

_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})
_ERROR: Final = {
    "description": "RFC 9457 problem details",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_MAYBE_NULL: Final = {
    "Finding": ("value", "expected", "low", "high", "effect")
}  # not finite in Python, null on the wire


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an app that holds `ROUTERS`: problems as the only errors, and no optional members in answers."""
    if app.openapi_schema:
        return app.openapi_schema
    found = get_openapi(
        title="Twofold",
        version=twofold.__version__,
        description="AIOps and MLOps as one system. Unsafe calls with a session cookie need `X-Twofold-CSRF: 1`.",
        routes=app.routes,
        openapi_version="3.1.0",
    )
    schemas = found["components"]["schemas"]
    for view in (Problem, ChangeNotice):
        schemas[view.__name__] = view.model_json_schema(ref_template="#/components/schemas/{model}")
    asked = {name for body in _bodies(found) for name in _reached(body, schemas)}
    for name, schema in schemas.items():
        _tidy(name, schema, answered=name not in asked)
    for operation in _operations(found):
        operation["responses"].pop("422", None)
        operation["responses"]["default"] = _ERROR
        operation.pop("x-audit", None)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    found["components"]["schemas"] = dict(sorted(schemas.items()))
    app.openapi_schema = found
    return found


def _operations(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in found["paths"].values():
        yield from (operation for method, operation in item.items() if method in _METHODS)


def _bodies(found: dict[str, Any]) -> Iterator[Any]:
    yield from (operation["requestBody"] for operation in _operations(found) if "requestBody" in operation)


def _reached(node: Any, schemas: dict[str, Any]) -> Iterator[str]:
    """Names of the schemas that a node refers to, however deep."""
    if isinstance(node, list):
        for item in node:
            yield from _reached(item, schemas)
    elif isinstance(node, dict):
        for key, item in node.items():
            if key == "$ref":
                name = item.rpartition("/")[2]
                yield name
                yield from _reached(schemas[name], schemas)
            else:
                yield from _reached(item, schemas)


def _tidy(name: str, schema: dict[str, Any], *, answered: bool) -> None:
    """Drop titles that repeat names; what we answer is always complete, whatever has a default."""
    properties = schema.get("properties", {})
    for member, part in properties.items():
        part.pop("title", None)
        if answered:
            part.pop("default", None)
        if member in _MAYBE_NULL.get(name, ()):
            part["type"] = ["number", "null"]
    if answered and properties:
        schema["required"] = list(properties)
    if "description" in schema:
        schema["description"] = schema["description"].partition("\n\nAttributes:")[0].strip()


def bare_app() -> FastAPI:
    """The routes alone, without services: enough for the document."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    for routes in ROUTERS:
        app.include_router(routes)
    return app


def dump() -> bytes:
    """The document as the file holds it: indented, keys sorted, a newline at the end."""
    return orjson.dumps(
        document(bare_app()), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(dump())
