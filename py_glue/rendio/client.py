"""The clients: the calls of the API over psycopg, for threads and for asyncio.

::

    with Client("postgresql://…") as rendio:
        me = rendio.device_check(user_id=None, device_id="…")
        rendio.as_user(me.user_id).get_user_credits(user_id=me.user_id)

A call is one transaction. On a connection with an open transaction the call is part of that
transaction, which then decides alone: after an error it must be rolled back, or to a savepoint
(`with conn.transaction():`), as after any failed statement.
"""

import asyncio
import copy
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from datetime import timedelta
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar
from uuid import UUID

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from rendio._rpc_async import AsyncRpc
from rendio._rpc_sync import Rpc
from rendio._wire import (
    READ_IDENTITY,
    Given,
    Identity,
    read_answer,
    render,
    set_identity,
    translated,
)
from rendio.results import Job
from rendio.watch import TIMEOUT, watch, watch_async

T = TypeVar("T")
Rows = list[tuple[Any, ...]]

# Nothing that a transaction pooler could not carry: no prepared statements, no session state.
_OPTIONS: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": None,
    "fallback_application_name": "rendio",
}


class Pool(Protocol):
    """What a client needs of a `psycopg_pool.ConnectionPool`."""

    def connection(self) -> AbstractContextManager[psycopg.Connection[Any]]: ...


class AsyncPool(Protocol):
    """What a client needs of a `psycopg_pool.AsyncConnectionPool`."""

    def connection(self) -> AbstractAsyncContextManager[psycopg.AsyncConnection[Any]]: ...


class Client(Rpc):
    """Calls the database as the connection's role, usually the service; see `as_user`.

    `database` is a URL, a psycopg connection or a pool. A connection or pool stays its owner's and
    is never closed here. For a URL one connection is opened at the first call, again after it was
    lost, and closed by `close()` or the `with` block; give a pool to serve many callers at once.
    """

    def __init__(self, database: str | psycopg.Connection[Any] | Pool) -> None:
        self._connections = _connections(database)
        self._identity: Identity | None = None

    def as_user(self, user_id: UUID) -> Self:
        """Return a client that calls as this user: what a request with the user's token may do.

        Role and claims hold for each call alone, also in the middle of a caller's transaction. The
        connection's login must be a member of `authenticated`.
        """
        return self._as(Identity.of_user(user_id))

    def as_anon(self) -> Self:
        """Return a client that calls as `anon`: what a request without a token may do."""
        return self._as(Identity.anon())

    def watch_job(
        self,
        *,
        user_id: UUID,
        job_id: UUID,
        timeout: timedelta = TIMEOUT,
        listen_url: str | None = None,
    ) -> Iterator[Job]:
        """Yield the job as it is and at each change of its status, until it has ended.

        A change is heard on a connection of the watch's own (LISTEN), open for as long as the watch
        lasts: to `listen_url`, else to the client's URL; a client that was given a connection or a
        pool needs the former. Through a pooler, where the setting `job_notifications` sends no
        NOTIFY, or for a login that may not read it, the status is asked for instead, after 2, 4, 8,
        16 and then every 30 seconds. A status that was passed through quickly may be left out. A
        job that has not ended after `timeout`, 60 times of asking, is a `TimeoutError`.
        """
        url = listen_url or _url_of(self._connections)
        return watch(self, url, user_id, job_id, timeout)

    def close(self) -> None:
        """Close the connection, if it was opened here; the next call would open another."""
        if self._identity is None and isinstance(self._connections, _FromUrl):
            self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _as(self, identity: Identity) -> Self:
        view = copy.copy(self)
        view._identity = identity
        return view

    def _call(self, query: str, read: Callable[[Any], T], *arguments: Given) -> T:
        return self._call_set(query, read, *arguments)[0]

    def _call_set(self, query: str, read: Callable[[Any], T], *arguments: Given) -> list[T]:
        statement, values = render(query, arguments)
        with translated(), self._connections.connection() as conn, _scope(conn, self._identity):
            rows = _run(conn, statement, values)
        return [read_answer(read, text, statement) for (text,) in rows]


def _connections(database: str | psycopg.Connection[Any] | Pool) -> Pool:
    if isinstance(database, str):
        return _FromUrl(database)
    if isinstance(database, psycopg.Connection):
        return _One(database)
    if not hasattr(database, "connection") or not hasattr(database, "__enter__"):
        raise TypeError(
            f"Client takes a URL, a psycopg.Connection or a ConnectionPool, not {database!r}; "
            "asynchronous ones go to AsyncClient"
        )
    return database


def _url_of(connections: Pool | AsyncPool) -> str | None:
    return connections.url if isinstance(connections, _FromUrl | _AsyncFromUrl) else None


class _One:
    """The caller's connection, for one call at a time."""

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self._conn = conn
        self._lock = threading.RLock()

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        with self._lock:
            yield self._conn


class _FromUrl:
    """A connection of our own, opened when it is needed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._conn: psycopg.Connection[Any] | None = None
        self._lock = threading.RLock()

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        with self._lock:
            if self._conn is None or self._conn.closed:
                self._conn = psycopg.connect(self.url, **_OPTIONS)
            yield self._conn

    def close(self) -> None:
        with self._lock:
            if self._conn is not None:
                self._conn.close()


@contextmanager
def _scope(conn: psycopg.Connection[Any], identity: Identity | None) -> Iterator[None]:
    """Make one call a transaction, or part of the one that is open, as whoever it is made."""
    if conn.info.transaction_status != TransactionStatus.IDLE:
        with _borrowed(conn, identity):
            yield
    elif identity or not conn.autocommit:
        with conn.transaction():
            if identity:
                _run(conn, *set_identity(identity.settings()))
            yield
    else:
        yield


@contextmanager
def _borrowed(conn: psycopg.Connection[Any], identity: Identity | None) -> Iterator[None]:
    """Act as another within the caller's transaction, and be the caller again afterwards."""
    if identity is None:
        yield
        return
    before: dict[str, str] = dict(_run(conn, *READ_IDENTITY))
    _run(conn, *set_identity(identity.settings()))
    try:
        yield
    finally:
        # After an error only a rollback is possible, and it takes the settings back by itself.
        if conn.info.transaction_status == TransactionStatus.INTRANS:
            _run(conn, *set_identity(before))


def _run(conn: psycopg.Connection[Any], statement: str, values: list[Any]) -> Rows:
    # Not conn.execute(): the caller's row and cursor factories are for the caller's queries.
    with psycopg.Cursor(conn, row_factory=tuple_row) as cursor:
        return cursor.execute(statement, values).fetchall()


# --- asyncio: the same, with await ----------------------------------------------------------------


class AsyncClient(AsyncRpc):
    """As `Client`, for asyncio, over `psycopg.AsyncConnection` and `AsyncConnectionPool`."""

    def __init__(self, database: str | psycopg.AsyncConnection[Any] | AsyncPool) -> None:
        self._connections = _async_connections(database)
        self._identity: Identity | None = None

    def as_user(self, user_id: UUID) -> Self:
        """Return a client that calls as this user; see `Client.as_user`."""
        return self._as(Identity.of_user(user_id))

    def as_anon(self) -> Self:
        """Return a client that calls as `anon`: what a request without a token may do."""
        return self._as(Identity.anon())

    def watch_job(
        self,
        *,
        user_id: UUID,
        job_id: UUID,
        timeout: timedelta = TIMEOUT,
        listen_url: str | None = None,
    ) -> AsyncIterator[Job]:
        """Yield the job at each change of its status (`async for`); see `Client.watch_job`."""
        url = listen_url or _url_of(self._connections)
        return watch_async(self, url, user_id, job_id, timeout)

    async def close(self) -> None:
        """Close the connection, if it was opened here; the next call would open another."""
        if self._identity is None and isinstance(self._connections, _AsyncFromUrl):
            await self._connections.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _as(self, identity: Identity) -> Self:
        view = copy.copy(self)
        view._identity = identity
        return view

    async def _call(self, query: str, read: Callable[[Any], T], *arguments: Given) -> T:
        return (await self._call_set(query, read, *arguments))[0]

    async def _call_set(self, query: str, read: Callable[[Any], T], *arguments: Given) -> list[T]:
        statement, values = render(query, arguments)
        with translated():
            async with (
                self._connections.connection() as conn,
                _async_scope(conn, self._identity),
            ):
                rows = await _async_run(conn, statement, values)
        return [read_answer(read, text, statement) for (text,) in rows]


def _async_connections(database: str | psycopg.AsyncConnection[Any] | AsyncPool) -> AsyncPool:
    if isinstance(database, str):
        return _AsyncFromUrl(database)
    if isinstance(database, psycopg.AsyncConnection):
        return _AsyncOne(database)
    if not hasattr(database, "connection") or not hasattr(database, "__aenter__"):
        raise TypeError(
            "AsyncClient takes a URL, a psycopg.AsyncConnection or an AsyncConnectionPool, "
            f"not {database!r}; synchronous ones go to Client"
        )
    return database


class _AsyncOne:
    """The caller's connection, for one call at a time."""

    def __init__(self, conn: psycopg.AsyncConnection[Any]) -> None:
        self._conn = conn
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        async with self._lock:
            yield self._conn


class _AsyncFromUrl:
    """A connection of our own, opened when it is needed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._conn: psycopg.AsyncConnection[Any] | None = None
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        async with self._lock:
            if self._conn is None or self._conn.closed:
                self._conn = await psycopg.AsyncConnection.connect(self.url, **_OPTIONS)
            yield self._conn

    async def close(self) -> None:
        async with self._lock:
            if self._conn is not None:
                await self._conn.close()


@asynccontextmanager
async def _async_scope(
    conn: psycopg.AsyncConnection[Any], identity: Identity | None
) -> AsyncIterator[None]:
    """Make one call a transaction, or part of the one that is open, as whoever it is made."""
    if conn.info.transaction_status != TransactionStatus.IDLE:
        async with _async_borrowed(conn, identity):
            yield
    elif identity or not conn.autocommit:
        async with conn.transaction():
            if identity:
                await _async_run(conn, *set_identity(identity.settings()))
            yield
    else:
        yield


@asynccontextmanager
async def _async_borrowed(
    conn: psycopg.AsyncConnection[Any], identity: Identity | None
) -> AsyncIterator[None]:
    """Act as another within the caller's transaction, and be the caller again afterwards."""
    if identity is None:
        yield
        return
    before: dict[str, str] = dict(await _async_run(conn, *READ_IDENTITY))
    await _async_run(conn, *set_identity(identity.settings()))
    try:
        yield
    finally:
        if conn.info.transaction_status == TransactionStatus.INTRANS:
            await _async_run(conn, *set_identity(before))


async def _async_run(conn: psycopg.AsyncConnection[Any], statement: str, values: list[Any]) -> Rows:
    async with psycopg.AsyncCursor(conn, row_factory=tuple_row) as cursor:
        return await (await cursor.execute(statement, values)).fetchall()
