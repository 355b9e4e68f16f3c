"""Reading a request's body: no more than is allowed, no longer than is patient."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from rendio.edge.errors import ApiError
from rendio.edge.settings import Settings

CLOSE = {"Connection": "close"}  # what is left of the body is not read


async def read_body(request: Request, settings: Settings) -> bytes:
    """Return the whole body; one that is too large is refused before it is read."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > settings.body_limit:
        raise _too_large(settings.body_limit)
    body = bytearray()
    try:
        async with asyncio.timeout(settings.body_seconds):
            async for part in request.stream():
                body += part
                if len(body) > settings.body_limit:
                    raise _too_large(settings.body_limit)
    except TimeoutError:
        told = f"The body did not arrive within {settings.body_seconds:g} seconds"
        raise ApiError(408, "PGRST102", told, headers=CLOSE) from None
    except ClientDisconnect:
        raise ApiError(400, "PGRST102", "The body ended early", headers=CLOSE) from None
    return bytes(body)


def media_type(text: str) -> str:
    return text.partition(";")[0].strip().lower()


def parse(body: bytes, content_type: str) -> tuple[Any, str]:
    """Return what a body says, and its JSON text."""
    kind = media_type(content_type) or "application/json"
    try:
        text = body.decode()
        if kind == "application/x-www-form-urlencoded":
            # As many as a query string may have: more than any function takes.
            form = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
            return form, json.dumps(form)
        if kind != "application/json":
            raise ApiError(400, "PGRST102", f"Content-Type not acceptable: {kind[:100]}")
        text = text if text.strip() else "{}"
        return json.loads(text, parse_constant=_no_constant), text
    except (ValueError, RecursionError):
        raise ApiError(400, "PGRST102", "Empty or invalid json") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _too_large(limit: int) -> ApiError:
    details = json.dumps({"limit": limit, "unit": "bytes"})
    hint = "Send a smaller body."
    return ApiError(413, "PT413", "payload_too_large", details, hint, CLOSE)
