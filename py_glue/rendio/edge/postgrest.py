"""``/rest/v1/rpc/<function>``: functions as PostgREST serves them; no tables.

Where it differs, on purpose: ``Prefer: return=minimal`` is honoured (the clients send it with a
call that wants no body), ``Prefer: tx=rollback`` is refused rather than committed, and what would
filter or cut a result is refused rather than left out.
"""

import json
from collections.abc import Iterable

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from rendio.edge import limits
from rendio.edge.bodies import media_type, parse, read_body
from rendio.edge.calls import Answer
from rendio.edge.catalogue import SCHEMA
from rendio.edge.errors import ApiError
from rendio.edge.responses import JSON_TYPE, respond, told_to_database
from rendio.edge.services import Services, services_of

OBJECT = "application/vnd.pgrst.object+json"
ARRAY = "application/vnd.pgrst.array+json"
# What may be asked for, and what is then sent.
OFFERED = {
    "application/json": ARRAY,
    "*/*": ARRAY,
    "application/*": ARRAY,
    ARRAY: ARRAY,
    OBJECT: OBJECT,
    OBJECT.removesuffix("+json"): OBJECT,
}
RESERVED = ("order", "limit", "offset", "and", "or", "not.and", "not.or", "on_conflict")
PREFERENCES = {
    "return": ("minimal", "representation", "headers-only"),
    "count": ("exact", "planned", "estimated"),
    "handling": ("strict", "lenient"),
    "tx": ("commit",),
    "params": ("single-object", "multiple-objects"),
    "missing": ("default", "null"),
    "resolution": ("merge-duplicates", "ignore-duplicates"),
}


async def rpc(http: HttpRequest) -> Response:
    """Answer one request for one function."""
    services = services_of(http)
    if http.method not in ("GET", "HEAD", "POST"):
        told = f"Cannot use the {http.method} method on RPC"
        raise ApiError(405, "PGRST101", told, headers={"Allow": "GET, HEAD, POST"})
    caller = await services.identify(http)
    _check_profile(http)
    accepted = _negotiate(http.headers.get("accept", "*/*"))
    preferences = _preferences(http.headers.getlist("prefer"))
    check = _check_single if accepted == OBJECT else None
    name = http.path_params["function"]
    request = told_to_database(http, f"/rpc/{name}")
    kind = limits.FUNCTIONS.get(name, limits.GENERAL)

    # Before the body is read: that is most of what a refused request would cost.
    left = await limits.check(services.calls, caller, services.address(http), request, kind)
    if http.method == "POST":
        given, payload = await _posted(http, services)
        answer = await services.calls.by_payload(caller, request, name, given, payload, check=check)
    else:
        arguments = _queried(http)
        answer = await services.calls.by_text(caller, request, name, arguments, check=check)
    return _response(http, answer, accepted, preferences, left)


async def no_table(http: HttpRequest) -> Response:
    """Refuse what PostgREST would read a table for."""
    await services_of(http).identify(http)
    table = http.path_params["table"]
    told = f"Could not find the table '{SCHEMA}.{table}' in the schema cache"
    raise ApiError(404, "PGRST205", told, None, "Only functions are served here: /rest/v1/rpc/")


# --- the request ----------------------------------------------------------------------------------


async def _posted(http: HttpRequest, services: Services) -> tuple[set[str], str]:
    """Return the names of the arguments that a body gives, and the body."""
    _refuse_shaping(http, beside=("columns",))
    body = await read_body(http, services.settings)
    found, text = parse(body, http.headers.get("content-type", ""))
    if isinstance(found, list):  # of several calls in one body the first is made, as by PostgREST
        found = found[0] if found else {}
        text = json.dumps(found)
    given = set(found) if isinstance(found, dict) else set()
    if columns := http.query_params.get("columns"):
        given &= {column.strip().strip('"') for column in columns.split(",")}
    return given, text


def _queried(http: HttpRequest) -> dict[str, str]:
    """Return the arguments of a query string; of one that came twice the last counts."""
    _refuse_shaping(http)
    return {name: value for name, value in http.query_params.multi_items() if name != "select"}


def _refuse_shaping(http: HttpRequest, beside: Iterable[str] | None = None) -> None:
    """Refuse what would shape a result; of a POST's query string everything would."""
    for name, value in http.query_params.multi_items():
        if name == "select" and value == "*":
            continue
        allowed = name in beside if beside is not None else name not in (*RESERVED, "select")
        if not allowed:
            details = f"A function's result cannot be shaped here: {name[:100]}"
            raise ApiError(400, "PGRST127", "Feature not implemented", details)


def _check_profile(http: HttpRequest) -> None:
    header = "content-profile" if http.method == "POST" else "accept-profile"
    schema = http.headers.get(header, SCHEMA)
    if schema != SCHEMA:
        hint = f"Only the following schemas are exposed: {SCHEMA}"
        raise ApiError(406, "PGRST106", f"Invalid schema: {schema[:100]}", None, hint)


def _negotiate(accept: str) -> str:
    """Return what is wanted first of what is offered."""
    wanted = [media_type(part) for part in accept.split(",") if "nulls=stripped" not in part]
    for kind in wanted:
        if kind in OFFERED:
            return OFFERED[kind]
    named = ", ".join(media_type(part)[:100] for part in accept.split(",")[:5])
    raise ApiError(406, "PGRST107", f"None of these media types are available: {named}")


def _preferences(headers: list[str]) -> dict[str, str]:
    """Return the preferences that are known; the first of a name counts."""
    found: dict[str, str] = {}
    unknown = []
    for part in ",".join(headers).split(","):
        name, _, value = part.strip().partition("=")
        if value in PREFERENCES.get(name, ()):
            found.setdefault(name, value)
        elif name:
            unknown.append(part.strip()[:100])
    rollback = "tx=rollback" in unknown
    if rollback or (unknown and found.get("handling") == "strict"):
        refused = "tx=rollback" if rollback else ", ".join(unknown)
        told = "Invalid preferences given with handling=strict"
        if rollback:
            told = "Invalid preferences given: a call is not rolled back on request"
        raise ApiError(400, "PGRST122", told, f"Invalid preferences: {refused}")
    return found


# --- the response ---------------------------------------------------------------------------------


def _response(
    http: HttpRequest,
    answer: Answer,
    accepted: str,
    preferences: dict[str, str],
    left: dict[str, str],
) -> Response:
    content, kind = answer.content, JSON_TYPE
    if accepted == OBJECT and not answer.returns_void:
        kind = f"{OBJECT}; charset=utf-8"
        content = content[1:-1] if answer.returns_set else content
    headers: list[tuple[str, str]] = list(left.items())
    headers.append(("Content-Range", _content_range(answer.rows, preferences.get("count"))))
    status = 200
    if answer.returns_void:
        status = 204
    elif preferences.get("return") == "minimal":
        status = 204
        headers.append(("Preference-Applied", "return=minimal"))
    headers += answer.headers
    return respond(content, answer.status or status, headers, kind, head=http.method == "HEAD")


def _check_single(answer: Answer) -> None:
    if answer.returns_set and answer.rows != 1:
        told = "Cannot coerce the result to a single JSON object"
        raise ApiError(406, "PGRST116", told, f"The result contains {answer.rows} rows")


def _content_range(rows: int, count: str | None) -> str:
    total = str(rows) if count else "*"
    return f"0-{rows - 1}/{total}" if rows else f"*/{total}"
