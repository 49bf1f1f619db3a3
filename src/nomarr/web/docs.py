"""What the API can do, for programs (/openapi.json) and for people (/docs), without scripts from elsewhere.

Both are open: they say what anybody can read in Nomarr's source, and nothing about this installation.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse

from nomarr import __version__

router = APIRouter()

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
code { font-size: 0.95em } h2 { margin-top: 2rem } td, th { text-align: left; padding: 0 1rem 0 0; vertical-align: top }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd } a { color: #8bf } }
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CSP = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'"


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document. Invalid input is answered with 400 here, so FastAPI's own 422 is left out."""
    if app.openapi_schema is None:
        schema = get_openapi(title="Nomarr", version=__version__, routes=app.routes)
        for _, _, operation in _operations(schema):
            operation["responses"].pop("422", None)
            for answer in operation["responses"].values():
                content = answer.get("content", {}).get("application/json", {})
                if "example" in content:
                    content["example"] = json.loads(content["example"])
        for name in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(name, None)
        app.openapi_schema = schema
    return app.openapi_schema


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    schema = describe(request.app)
    parts = [_section(*operation) for operation in _operations(schema)]
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Nomarr's API</title><style>{STYLE}</style></head>
<body><h1>Nomarr's API</h1>
<p>Version {escape(__version__)}. The same for programs: <a href="openapi.json">openapi.json</a></p>
{"".join(parts)}</body></html>"""
    return HTMLResponse(page, headers={"Content-Security-Policy": CSP})


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _section(method: str, path: str, operation: dict[str, Any]) -> str:
    takes = [f"{p['name']} ({p['in']})" for p in operation.get("parameters", ())]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        takes.append(f"body: {_name(body)}")
    rows = "".join(
        f"<tr><td>{escape(status)}</td><td>{escape(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    return (
        f"<h2><code>{method} {escape(path)}</code></h2><p>{escape(operation['summary'])}. "
        f"{escape(operation.get('description', ''))}</p>"
        + (f"<p>Takes {escape(', '.join(takes))}</p>" if takes else "")
        + f"<table>{rows}</table>\n"
    )


def _name(schema: dict[str, Any]) -> str:
    options = [schema, *schema.get("anyOf", ())]
    return next((str(o["$ref"]).rpartition("/")[2] for o in options if "$ref" in o), "JSON")
