"""What a caller is told when a request fails, in PostgREST's form and with its statuses."""

import json
import math
from collections.abc import Mapping
from typing import Any

import psycopg
import psycopg_pool

RETRY_SECONDS = "1"
CONNECTION_LOST = ("57P01", "57P02", "57P03")  # the server stops, crashed, or is starting

# SQLSTATE, or the start of it, and the status: PostgREST's table; the first that fits counts.
STATUSES = (
    ("08", 503),
    ("09", 500),
    ("0L", 403),
    ("0P", 403),
    ("21000", 500),
    ("23503", 409),
    ("23505", 409),
    ("25006", 405),
    ("25", 500),
    ("28", 403),
    ("2D", 500),
    ("38", 500),
    ("39", 500),
    ("3B", 500),
    ("40", 500),
    ("42883", 404),
    ("42P01", 404),
    ("42P17", 500),
    ("53400", 500),
    ("53", 503),
    ("54", 500),
    ("55", 500),
    ("57", 500),
    ("58", 500),
    ("F0", 500),
    ("HV", 500),
    ("P0001", 400),
    ("P0", 500),
    ("XX", 500),
)


class ApiError(Exception):
    """An answer that is an error: a status and PostgREST's four fields."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: str | None = None,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.hint = hint
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "details": self.details,
            "hint": self.hint,
        }


def refusal(
    status: int,
    slug: str,
    facts: Mapping[str, Any] | None = None,
    hint: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ApiError:
    """Return an error in the form that the calls raise: PTnnn, a slug, facts, what to do."""
    details = json.dumps(facts or {}, default=str)
    return ApiError(status, f"PT{status}", slug, details, hint, headers)


def unavailable(slug: str, hint: str) -> ApiError:
    return refusal(503, slug, hint=hint, headers={"Retry-After": RETRY_SECONDS})


def of_database(error: psycopg.Error, *, anonymous: bool) -> ApiError:
    """Return what the caller is told of a failed statement.

    The server's own words are passed on, as PostgREST does. libpq's are not: they name hosts.
    """
    again = {"Retry-After": RETRY_SECONDS}
    if isinstance(error, psycopg_pool.TooManyRequests):
        told = "The queue for a database connection is full."
        return ApiError(503, "PGRST003", told, headers=again)
    if isinstance(error, psycopg_pool.PoolTimeout):
        told = "Timed out acquiring connection from connection pool."
        return ApiError(503, "PGRST003", told, headers=again)
    sqlstate, said = error.sqlstate, error.diag
    if sqlstate is None or sqlstate.startswith("08") or sqlstate in CONNECTION_LOST:
        if isinstance(error, psycopg.OperationalError):
            return ApiError(503, "PGRST001", "Database connection error.", headers=again)
        return ApiError(400, "PGRST102", "The request has a value that the database cannot take.")
    if sqlstate == "PGRST":
        return _raised(said.message_primary, said.message_detail)
    status = status_of(sqlstate, anonymous=anonymous)
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 429 and (seconds := _retry_after(said.message_detail)):
        headers["Retry-After"] = seconds
    if status == 503:
        headers = again
    message = said.message_primary or ""
    return ApiError(status, sqlstate, message, said.message_detail, said.message_hint, headers)


def status_of(sqlstate: str, *, anonymous: bool) -> int:
    if sqlstate.startswith("PT"):
        number = sqlstate[2:]
        return int(number) if number.isdigit() and 200 <= int(number) <= 599 else 500
    if sqlstate == "42501":
        return 401 if anonymous else 403
    return next((status for start, status in STATUSES if sqlstate.startswith(start)), 400)


def _retry_after(detail: str | None) -> str | None:
    try:
        facts = json.loads(detail or "{}")
    except ValueError:
        return None
    seconds = facts.get("retry_after") if isinstance(facts, dict) else None
    return str(max(1, math.ceil(seconds))) if isinstance(seconds, int | float) else None


def _raised(message: str | None, detail: str | None) -> ApiError:
    """Read PostgREST's ``raise sqlstate 'PGRST'``, which decides the whole answer."""
    try:
        told, rest = json.loads(message or ""), json.loads(detail or "")
        headers = {str(name): str(value) for name, value in rest["headers"].items()}
        return ApiError(
            int(rest["status"]),
            str(told["code"]),
            str(told["message"]),
            told.get("details"),
            told.get("hint"),
            headers,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        told = "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error"
        return ApiError(500, "PGRST121", told)
