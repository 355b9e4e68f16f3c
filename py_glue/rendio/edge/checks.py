"""``rendio serve --check``: what would keep the server from answering."""

import asyncio
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg

from rendio.edge.errors import ApiError
from rendio.edge.keys import KeySet
from rendio.edge.purchases import Purchases
from rendio.edge.settings import ROLES, Settings

CONNECT_SECONDS = 5
MANY_SOCKETS = 1024


@dataclass(frozen=True)
class Finding:
    what: str
    ok: bool | None  # None: not there, and the server runs without
    remedy: str = ""


def check(settings: Settings) -> list[Finding]:
    """Look at everything that the settings name, and change nothing."""
    return [*_database(settings), *_keys(settings), *_apple(settings), _sockets()]


def _database(settings: Settings) -> Iterator[Finding]:
    url = settings.database_url.reveal()
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS, autocommit=True) as conn:
            yield Finding("the database answers", True)
            yield from _contents(conn)
            yield from _room(conn, settings)
    except psycopg.Error as error:
        # Not libpq's own words: a connection string that it cannot read is quoted in them.
        reason = error.sqlstate or "no connection"
        remedy = f"is it running, is the URL right? ({reason})"
        yield Finding("the database answers", False, remedy)


def _contents(conn: psycopg.Connection[Any]) -> Iterator[Finding]:
    is_applied = _has(conn, "public.get_models(text)")
    yield Finding("rendio is applied", is_applied, "rendio apply")
    has_limits = _has(conn, "public.check_rate_limit(uuid, text, integer, text)")
    yield Finding("rate limits", has_limits or None, "the database has no check_rate_limit")
    for role in ROLES:
        try:
            with conn.transaction():
                conn.execute("select set_config('role', %s, true)", [role])
            yield Finding(f"the login may become {role}", True)
        except psycopg.Error:
            remedy = f"rendio apply makes the role; then  grant {role} to the login"
            yield Finding(f"the login may become {role}", False, remedy)


def _has(conn: psycopg.Connection[Any], signature: str) -> bool:
    row = conn.execute("select to_regprocedure(%s) is not null", [signature]).fetchone()
    return bool(row and row[0])


def _room(conn: psycopg.Connection[Any], settings: Settings) -> Iterator[Finding]:
    row = conn.execute("select current_setting('max_connections')::int").fetchone()
    most = row[0] if row else 0
    what = f"RENDIO_POOL_SIZE ({settings.pool_size}) is below max_connections ({most})"
    yield Finding(what, settings.pool_size < most)


def _keys(settings: Settings) -> Iterator[Finding]:
    if settings.jwt_secret:
        yield Finding("tokens signed with RENDIO_JWT_SECRET", True)
    if settings.jwks:
        yield Finding("RENDIO_JWKS has public keys", asyncio.run(_has_keys(settings.jwks)))


async def _has_keys(place: str) -> bool:
    async with httpx.AsyncClient(timeout=CONNECT_SECONDS) as http:
        try:
            await KeySet(place, http).find(None)
        except ApiError:
            return False
    return True


def _apple(settings: Settings) -> Iterator[Finding]:
    without = "not set: it answers 503"
    if settings.insecure_dev:
        without = "not set: --insecure-dev believes everybody"
    has_devices = settings.apple.has_devicecheck
    yield Finding("device/check: Apple's keys", has_devices or None, without)
    what = "update-credits: the app, and Apple's certificates"
    if not settings.apple.has_app_store:
        yield Finding(what, None, without)
        return
    try:
        Purchases.of(settings)
        yield Finding(what, True)
    except (ValueError, OSError):
        yield Finding(what, False, "APPLE_ROOT_CERTIFICATES must be Apple's .cer files")
    except ImportError:
        yield Finding(what, False, "pip install 'rendio[apple]'")


def _sockets() -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    enough = hard == resource.RLIM_INFINITY or hard > MANY_SOCKETS
    return Finding("the limit of open files allows 1,000 connections", enough)
