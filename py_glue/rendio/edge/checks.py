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
        yield Finding(f"the database answers ({reason}): is it running, is the URL right?", False)


def _contents(conn: psycopg.Connection[Any]) -> Iterator[Finding]:
    for signature, what, needed in (
        ("public.get_models(text)", "rendio is applied; else:  rendio apply", True),
        (
            "public.check_rate_limit(uuid, text, integer, text)",
            "rate limits: the database has check_rate_limit",
            False,
        ),
    ):
        row = conn.execute("select to_regprocedure(%s) is not null", [signature]).fetchone()
        found = bool(row and row[0])
        yield Finding(what, found or (False if needed else None))
    for role in ROLES:
        try:
            with conn.transaction():
                conn.execute("select set_config('role', %s, true)", [role])
            yield Finding(f"the login may become {role}", True)
        except psycopg.Error:
            yield Finding(f"the login may become {role}; else:  grant {role} to its role", False)


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
    with_keys = settings.apple.has_devicecheck
    if settings.insecure_dev and not with_keys:
        yield Finding("device/check takes every device: --insecure-dev", None)
    else:
        yield Finding("device/check: Apple's keys; without, it answers 503", with_keys or None)
    if settings.insecure_dev and not settings.apple.has_app_store:
        yield Finding("update-credits takes every transaction: --insecure-dev", None)
        return
    what = "update-credits: APPLE_BUNDLE_ID, APPLE_APP_ID, APPLE_ROOT_CERTIFICATES"
    try:
        has_store: bool | None = Purchases.of(settings) is not None or None
    except ImportError:
        what, has_store = "update-credits: pip install 'rendio[apple]'", False
    except (ValueError, OSError):
        has_store = False
    yield Finding(f"{what}; without, it answers 503", has_store)


def _sockets() -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    enough = hard == resource.RLIM_INFINITY or hard > MANY_SOCKETS
    return Finding("the limit of open files allows 1,000 connections", enough)
