"""What both faces make of a request and of an answer."""

import json
from collections.abc import Iterable, Mapping

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from rendio.edge.calls import Request
from rendio.edge.errors import ApiError

JSON_TYPE = "application/json; charset=utf-8"
BODILESS = (204, 304)
SINGLE = ("content-type", "location", "etag", "cache-control")
# They prove who calls, which the claims tell the database by now; a statement log keeps parameters.
WITHHELD = ("authorization", "apikey", "cookie", "proxy-authorization")


def told_to_database(request: HttpRequest, path: str) -> Request:
    """Return what the database is told of a request; a header that came twice is joined."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        if name not in WITHHELD:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    headers["x-request-id"] = request.scope["state"]["request_id"]
    return Request(request.method, path, headers, request.cookies)


def respond(
    content: str,
    status: int = 200,
    headers: Iterable[tuple[str, str]] = (),
    media_type: str = JSON_TYPE,
    *,
    head: bool = False,
) -> Response:
    """Return a response; a later header of a name that may stand once takes the earlier's place."""
    bodiless = status in BODILESS
    # Half of a surrogate pair, which JSON can name and UTF-8 cannot, becomes JSON's escape again.
    body = b"" if bodiless or head else content.encode(errors="backslashreplace")
    response = Response(body, status)
    if bodiless or head:
        del response.headers["content-length"]
    if not bodiless:
        response.headers["content-type"] = media_type
    for name, value in headers:
        if name.lower() in SINGLE:
            response.headers[name] = value
        else:
            response.headers.append(name, value)
    return response


def respond_error(error: ApiError, more: Mapping[str, object] | None = None) -> Response:
    body = json.dumps(error.body() | dict(more or {}), ensure_ascii=False)
    return respond(body, error.status, error.headers.items())
