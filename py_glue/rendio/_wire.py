"""How calls and answers cross to the database and back; shared by the sync and async halves."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from rendio.errors import (
    BY_SLUG,
    BY_STATUS,
    DatabaseOutdated,
    PermissionDenied,
    RendioError,
    RetryableConflict,
)

S = TypeVar("S")
T = TypeVar("T")

# A piece of SQL with one placeholder, and its value.
Given = tuple[str, Any]


# --- arguments ------------------------------------------------------------------------------------


class _Default:
    """Stands for an argument that was not given: the call leaves it out."""

    def __init__(self, expression: str) -> None:
        self.expression = expression

    def __repr__(self) -> str:
        return f"default({self.expression})"


def default(expression: str) -> Any:
    """Show an argument's SQL default in a signature; the database applies its own."""
    return _Default(expression)


_NULL = _Default("null")


def unless_none(value: T | None) -> T | _Default:
    """Leave an argument out whose default is null, also for a database that lacks it."""
    return _NULL if value is None else value


def jsonb(value: Any) -> Jsonb | None:
    """Pass a value as jsonb, None as null."""
    return None if value is None else Jsonb(value)


def render(query: str, arguments: Sequence[Given]) -> tuple[str, list[Any]]:
    """Return the statement for the arguments that were given, and their values."""
    given = [(part, value) for part, value in arguments if not isinstance(value, _Default)]
    for part, value in given:
        if isinstance(value, datetime) and value.tzinfo is None:
            name = part.partition(" ")[0].removeprefix("p_")
            raise ValueError(f"{name}={value!r} has no time zone: datetime.now(UTC) has one")
    return query.format(", ".join(part for part, _ in given)), [value for _, value in given]


# --- answers --------------------------------------------------------------------------------------


def read_answer(read: Callable[[Any], T], text: str | None, query: str) -> T:
    """Read one JSON answer."""
    try:
        return read(json.loads(text or "null"))
    except KeyError as missing:
        raise DatabaseOutdated(
            detail={"missing": missing.args[0], "query": query},
            hint="the database is older than this client; bring it up to date: rendio apply",
        ) from missing


def timestamp(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def optional(read: Callable[..., T], *arguments: Any) -> T | None:
    return None if arguments[-1] is None else read(*arguments)


def each(read: Callable[[S], T], values: Sequence[S]) -> list[T]:
    return [read(value) for value in values]


# --- who calls ------------------------------------------------------------------------------------

# All that auth.uid(), auth.role() and auth.jwt() read: one that is left standing could name
# another user.
_SETTINGS = (
    "role",
    "request.jwt.claims",
    "request.jwt.claim",
    "request.jwt.claim.sub",
    "request.jwt.claim.role",
)
READ_IDENTITY = (
    "select name, coalesce(pg_catalog.current_setting(name, true), '') "
    "from pg_catalog.unnest(%s::text[]) as name",
    [list(_SETTINGS)],
)


@dataclass(frozen=True)
class Identity:
    """As whom calls are made: a database role, and the claims of a verified token."""

    role: str
    claims: dict[str, str]

    @classmethod
    def of_user(cls, user_id: UUID) -> "Identity":
        return cls("authenticated", {"sub": str(user_id), "role": "authenticated"})

    @classmethod
    def anon(cls) -> "Identity":
        return cls("anon", {"role": "anon"})

    def settings(self) -> dict[str, str]:
        named = {"role": self.role, "request.jwt.claims": json.dumps(self.claims)}
        return {name: named.get(name, "") for name in _SETTINGS}


def set_identity(settings: dict[str, str]) -> tuple[str, list[Any]]:
    """Return the statement that sets them for the rest of the transaction."""
    return (
        "select pg_catalog.set_config(name, value, true) "
        "from rows from (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[])) "
        "as setting (name, value)",
        [list(settings), list(settings.values())],
    )


# --- errors ---------------------------------------------------------------------------------------


_NOT_OURS: dict[str, tuple[type[RendioError], str]] = {
    "40001": (RetryableConflict, "repeat the whole transaction"),
    "40P01": (RetryableConflict, "repeat the whole transaction"),
    "42501": (PermissionDenied, "connect as a role that may, or grant that role to this login"),
    "42883": (DatabaseOutdated, "bring the database up to date: rendio apply"),
}


@contextmanager
def translated() -> Iterator[None]:
    """Raise the database's refusals as `rendio.errors`; leave everything else psycopg's."""
    try:
        yield
    except psycopg.Error as error:
        ours = _refusal(error)
        if ours is None:
            raise
        raise ours from error


def _refusal(error: psycopg.Error) -> RendioError | None:
    sqlstate, said = error.sqlstate or "", error.diag
    if sqlstate.startswith("PT") and sqlstate[2:].isdigit():
        slug, status = said.message_primary or "", int(sqlstate[2:])
        known = BY_SLUG.get(slug)
        if known is None or known.status != status:
            known = BY_STATUS.get(status, RendioError)
        facts = _facts(said.message_detail)
        return known(slug, sqlstate=sqlstate, detail=facts, hint=said.message_hint)
    kind, hint = _NOT_OURS.get(sqlstate, (None, ""))
    # With a context, not the call itself failed but something inside it.
    if kind is None or (said.context and not kind.is_retryable):
        return None
    return kind(sqlstate=sqlstate, message=said.message_primary, hint=hint)


def _facts(text: str | None) -> dict[str, Any]:
    try:
        facts = json.loads(text or "{}")
    except ValueError:
        facts = text
    return facts if isinstance(facts, dict) else {"detail": facts}
