"""The database: a bounded pool, and one transaction for each piece of work."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg.rows import TupleRow, tuple_row
from psycopg_pool import AsyncConnectionPool, TooManyRequests

from rendio._wire import set_identity
from rendio.edge.settings import Settings

T = TypeVar("T")
Cursor = psycopg.AsyncCursor[TupleRow]

ATTEMPTS = 3
CONNECT_SECONDS = 5
CHECK_SECONDS = 2
# A failed attempt to connect is not drawn out: the next request makes the next one, so that a
# server which is back is found at once.
RECONNECT_SECONDS = 1
# What a server that has stopped to answer is waited for beyond the statement's own timeout.
PATIENCE_SECONDS = 5
IDLE_IN_TRANSACTION = "10s"


class Pool(AsyncConnectionPool[psycopg.AsyncConnection[TupleRow]]):
    """A pool whose queue has only those in it who wait.

    psycopg_pool's own limit counts who gave up as well, until a connection comes: at the end of an
    outage it refuses everybody, and makes no attempt to connect as long as it does.
    """

    queue: int
    _asking = 0

    async def getconn(self, timeout: float | None = None) -> psycopg.AsyncConnection[TupleRow]:
        if self._asking >= self.queue and not self.get_stats()["pool_available"]:
            raise TooManyRequests(f"{self._asking} requests wait for the pool {self.name!r}")
        self._asking += 1
        try:
            return await super().getconn(timeout)
        finally:
            self._asking -= 1


def pool(settings: Settings, name: str, max_size: int, *, min_size: int) -> Pool:
    """Return a pool that is still closed."""
    made = Pool(
        settings.database_url.reveal(),
        open=False,
        name=name,
        min_size=min_size,
        max_size=max_size,
        timeout=settings.pool_seconds,
        reconnect_timeout=RECONNECT_SECONDS,
        # Asked before each use, so that no request meets a connection that died idle.
        check=_check,
        kwargs={
            "autocommit": True,
            "prepare_threshold": None,  # a transaction pooler may stand between
            "application_name": "rendio serve",
            "connect_timeout": CONNECT_SECONDS,
        },
    )
    made.queue = settings.pool_queue
    return made


class Database:
    """Runs work on pooled connections. Whoever finds the queue full is refused at once."""

    def __init__(self, settings: Settings) -> None:
        self._pool = pool(settings, "rendio", settings.pool_size, min_size=1)

    async def open(self) -> None:
        """Start to connect; a server that is not there yet is waited for by each request."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        await self._pool.close()

    async def run(
        self, settings: Mapping[str, str], seconds: float, work: Callable[[Cursor], Awaitable[T]]
    ) -> T:
        """Do the work in a transaction with these settings, each of them local to it.

        A transaction that lost against another is repeated: it has done nothing.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._once(settings, seconds, work)
            except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    async def _once(
        self, settings: Mapping[str, str], seconds: float, work: Callable[[Cursor], Awaitable[T]]
    ) -> T:
        limits = {
            "statement_timeout": f"{round(seconds * 1000)}ms",
            "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION,
        }
        async with self._pool.connection() as conn:
            with cut_off_after(seconds + PATIENCE_SECONDS, conn):
                async with conn.transaction(), conn.cursor(row_factory=tuple_row) as cursor:
                    await cursor.execute(*set_identity(limits | dict(settings)))
                    return await work(cursor)


async def _check(conn: psycopg.AsyncConnection[Any]) -> None:
    with cut_off_after(CHECK_SECONDS, conn):
        await AsyncConnectionPool.check_connection(conn)


@contextmanager
def cut_off_after(seconds: float, conn: psycopg.AsyncConnection[Any]) -> Iterator[None]:
    """Hang up on a server that does not answer.

    To cancel the task would not do: psycopg then waits for the server to confirm.
    """
    timer = asyncio.get_running_loop().call_later(seconds, _hang_up, conn)
    try:
        yield
    finally:
        timer.cancel()


def _hang_up(conn: psycopg.AsyncConnection[Any]) -> None:
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(conn.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


def as_login(**settings: Any) -> dict[str, str]:
    """Return the settings of a transaction that is the server's own, not a caller's."""
    return {"search_path": "pg_catalog"} | settings
