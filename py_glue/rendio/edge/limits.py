"""Rate limits: how many requests are let in is decided by `check_rate_limit` in SQL.

It is asked in a transaction of its own, so that what is refused or fails later counts too. A
database without the function has no limits; a row of app_settings switches each of them off.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from rendio.edge.calls import Calls, Request
from rendio.edge.errors import refusal
from rendio.edge.identity import SERVICE, Caller

GENERATE = "generate"
GENERAL = "general"
FUNCTIONS = {"generate_video_atomic": GENERATE}  # of the other face; all the rest is GENERAL


async def check(
    calls: Calls, caller: Caller, address: str, request: Request, endpoint: str
) -> dict[str, str]:
    """Let a request pass and return the headers that tell what is left; else 429.

    Users are counted by id, others by address; the service is not counted.
    """
    if caller.is_service or not await calls.catalogue.argument_names("check_rate_limit"):
        return {}
    who: dict[str, Any] = {"p_user_id": caller.user_id}
    if caller.user_id is None:
        who["p_subject"] = f"address:{address}"
    given = who | {"p_endpoint": endpoint}
    answer = await calls.by_json(SERVICE, request, "check_rate_limit", given)
    told = json.loads(answer.content)
    headers = _headers(told)
    if told["allowed"]:
        return headers
    facts = {name: told.get(name) for name in ("limit", "remaining", "retry_after")}
    raise refusal(429, "rate_limited", facts, "Try again later.", headers)


def _headers(told: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers; those of a limit that is switched off are left out."""
    found = {"RateLimit-Limit": _whole(told.get("limit"))}
    if found["RateLimit-Limit"]:
        found["RateLimit-Remaining"] = _whole(told.get("remaining"))
        found["RateLimit-Reset"] = _whole(told.get("reset_after"))
    if not told["allowed"]:
        found["Retry-After"] = _whole(told.get("retry_after")) or "1"
    return {name: value for name, value in found.items() if value is not None}


def _whole(number: Any) -> str | None:
    """Return a number rounded up: who waits that long has waited long enough."""
    return str(math.ceil(number)) if isinstance(number, int | float) else None
