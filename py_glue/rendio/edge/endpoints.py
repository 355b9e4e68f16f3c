"""``/functions/v1/…``: what the plans' Edge functions took and answered, over the same calls.

Who the user is comes from the token. A `user_id` in a body may repeat it; only the service may name
another.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from rendio.edge import limits
from rendio.edge.bodies import parse, read_body
from rendio.edge.calls import Answer, Request
from rendio.edge.devices import Device
from rendio.edge.errors import ApiError, refusal, unavailable
from rendio.edge.identity import SERVICE, Caller
from rendio.edge.responses import respond, told_to_database
from rendio.edge.services import Services, services_of

PREFIX = "/functions/v1"
MODELS_AGE = "max-age=3600"


@dataclass(frozen=True)
class Asked:
    """A request whose sender is known and was let in."""

    services: Services
    caller: Caller
    request: Request
    given: dict[str, Any]
    headers: dict[str, str]  # of the response, so far
    is_head: bool

    @property
    def user_id(self) -> str | None:
        """Return who is meant: the token's user, or whom the service names."""
        named = self.given.get("user_id")
        if self.caller.is_service:
            return named
        if named is not None and not _is_same(named, self.caller.user_id):
            hint = "Leave user_id out: it is the token's."
            raise refusal(403, "not_your_account", hint=hint)
        return self.caller.user_id

    async def call(self, name: str, arguments: Mapping[str, Any], *, as_service: bool) -> Answer:
        caller = SERVICE if as_service else self.caller
        return await self.services.calls.by_json(caller, self.request, name, arguments)

    def answer(self, content: str) -> Response:
        return respond(content, 200, self.headers.items(), head=self.is_head)


async def generate_video(http: HttpRequest) -> Response:
    """POST {model_id, prompt, settings}, header Idempotency-Key: {job_id, status, credits_used}."""
    names = ("model_id", "prompt", "settings", "idempotency_key")
    asked = await _begin(http, names, limits.GENERATE)
    arguments = {f"p_{name}": asked.given.get(name) for name in names}
    if key := http.headers.get("idempotency-key"):
        arguments["p_idempotency_key"] = key
    return await _for_user(asked, "generate_video_atomic", arguments)


async def get_video_status(http: HttpRequest) -> Response:
    """GET ?job_id=…: the job."""
    asked = await _begin(http, ("job_id",))
    return await _for_user(asked, "get_video_status", {"p_job_id": asked.given.get("job_id")})


async def get_video_jobs(http: HttpRequest) -> Response:
    """GET ?limit=20&before=…: {jobs, next_before}, newest first."""
    names = ("limit", "before")
    asked = await _begin(http, names)
    arguments = {f"p_{name}": asked.given[name] for name in names if name in asked.given}
    return await _for_user(asked, "get_video_jobs", arguments)


async def get_models(http: HttpRequest) -> Response:
    """GET, If-None-Match: {models} and an ETag, or 304."""
    asked = await _begin(http, ())
    given = {"p_if_none_match": http.headers.get("if-none-match")}
    told = json.loads((await asked.call("get_models", given, as_service=False)).content)
    asked.headers.update({"ETag": told["etag"], "Cache-Control": MODELS_AGE})
    if told["not_modified"]:
        return respond("", 304, asked.headers.items())
    return asked.answer(json.dumps({"models": told["models"]}, ensure_ascii=False))


async def update_credits(http: HttpRequest) -> Response:
    """POST {signed_transaction}: {credits_added, credits_remaining, replayed}."""
    asked = await _begin(http, ("signed_transaction",))
    if asked.user_id is None:
        raise _no_user(asked.caller)
    if asked.services.purchases is None:
        raise unavailable("app_store_not_configured", "The server lacks APPLE_BUNDLE_ID etc.")
    arguments = await asked.services.purchases.arguments(asked.given.get("signed_transaction"))
    arguments["p_user_id"] = asked.user_id
    answer = await asked.call("record_iap_purchase", arguments, as_service=True)
    return asked.answer(answer.content)


async def device_check(http: HttpRequest) -> Response:
    """POST {device_id, device_token, language}: {user_id, is_new, is_guest, credits_remaining}.

    With a user's token the answer is that user, else the device's guest. bit0 is set after the
    grant: when the server dies between the two, the device's next call sets it.
    """
    asked = await _begin(http, ("device_id", "device_token", "language"))
    arguments = {"p_user_id": asked.user_id, "p_device_id": asked.given.get("device_id")}
    if asked.given.get("language") is not None:
        arguments["p_language"] = asked.given["language"]
    devices = asked.services.devices
    if devices is None:
        if not asked.services.settings.insecure_dev:
            raise unavailable("devicecheck_not_configured", "The server lacks APPLE_TEAM_ID etc.")
        answer = await asked.call("device_check", arguments, as_service=True)
        return asked.answer(answer.content)
    token = asked.given.get("device_token")
    device = Device(asked.services, asked.request, devices, token, arguments)
    place = None if asked.caller.is_service else asked.services.address(http)
    return asked.answer((await device.check(place)).content)


ENDPOINTS = {
    "generate-video": (generate_video, ("POST",)),
    "get-video-status": (get_video_status, ("GET", "POST")),
    "get-video-jobs": (get_video_jobs, ("GET", "POST")),
    "get-models": (get_models, ("GET",)),
    "update-credits": (update_credits, ("POST",)),
    "device/check": (device_check, ("POST",)),
}


# --- what all have in common ----------------------------------------------------------------------


async def _begin(http: HttpRequest, names: Iterable[str], limit: str = limits.GENERAL) -> Asked:
    """Find out who asks for what, and whether they may now."""
    services = services_of(http)
    caller = await services.identify(http)
    request = told_to_database(http, http.url.path)
    left = await limits.check(services.calls, caller, services.address(http), request, limit)
    given = await _fields(http, services, {*names, "user_id"})
    return Asked(services, caller, request, given, left, http.method == "HEAD")


async def _fields(http: HttpRequest, services: Services, names: set[str]) -> dict[str, Any]:
    """Return what was sent, by name; a name that is not expected is refused, not left out."""
    if http.method == "POST":
        body = await read_body(http, services.settings)
        given, _ = parse(body, http.headers.get("content-type", ""))
        if not isinstance(given, dict):
            raise ApiError(400, "PGRST102", "The body must be a JSON object")
    else:
        given = dict(http.query_params)
    if unknown := sorted(set(given) - names):
        facts = {"argument": unknown[0][:100], "rule": f"one of {', '.join(sorted(names))}"}
        raise refusal(400, "invalid_argument", facts)
    return given


async def _for_user(asked: Asked, name: str, arguments: Mapping[str, Any]) -> Response:
    """Call as who asks, for the user who is meant; SQL decides whether that may be."""
    if asked.user_id is None:
        raise _no_user(asked.caller)
    given = {"p_user_id": asked.user_id} | dict(arguments)
    return asked.answer((await asked.call(name, given, as_service=False)).content)


def _is_same(named: object, user_id: str | None) -> bool:
    """Tell whether the token's user is named; a UUID may be written in several ways."""
    try:
        return UUID(str(named)) == UUID(user_id)
    except (ValueError, TypeError, AttributeError):
        return named == user_id


def _no_user(caller: Caller) -> ApiError:
    if caller.is_service:
        return refusal(400, "invalid_argument", {"argument": "user_id", "rule": "required"})
    challenge = {"WWW-Authenticate": "Bearer"}
    return refusal(401, "not_authenticated", hint="Send a token of the user.", headers=challenge)
