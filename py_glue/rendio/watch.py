"""Watching a job until it ends: told by NOTIFY where that can be heard, else by asking.

Told or not, what is yielded was read by `get_video_status`, as the client's role: a notification
only says when to read. A watch listens first and reads then, so nothing that happens between is
missed. What listens is a connection of its own, closed when the watch ends or its iterator is
closed; it holds no transaction. A client's own connection, or one of its pool, is used for each
read and let go of again.
"""

import asyncio
import logging
import math
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, repeat
from threading import Timer
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from rendio.results import Job

_log = logging.getLogger(__name__)

# Sixty reads, 2, 4, 8, 16 and then 30 seconds apart.
TIMEOUT = timedelta(minutes=28)
# For who listens: a read in case that a notification was lost, or turned off meanwhile.
PRECAUTION = 300.0
# To connect, and again to find out whether there is anything to hear. Then it is asked for.
LISTEN_SECONDS = 10.0

_OPTIONS: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": None,
    "row_factory": tuple_row,
    "fallback_application_name": "rendio watch",
    # A listener only waits: without these it would not notice that the other end is gone.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

# A pooler gives out process ids of its own, and LISTEN would stay behind in a session that the
# next one is handed. Whether there is anything to hear is a setting that the service may read.
_CAN_HEAR = """
    select pg_catalog.pg_backend_pid() = %s, exists (
        select from public.app_settings as s
        where s.key = 'job_notifications' and s.value in ('"both"', '"notify"')
    )
"""


class Reader(Protocol):
    """What a watch needs of a `Client`."""

    def get_video_status(self, *, user_id: UUID, job_id: UUID) -> Job: ...


class AsyncReader(Protocol):
    """What a watch needs of an `AsyncClient`."""

    async def get_video_status(self, *, user_id: UUID, job_id: UUID) -> Job: ...


@dataclass(frozen=True)
class Clock:
    """Time as a watch sees it."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class AsyncClock:
    """Time as an asynchronous watch sees it."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


CLOCK = Clock()
ASYNC_CLOCK = AsyncClock()


@dataclass
class Course:
    """How far a watch has come: what was seen, and how long to wait for the next."""

    job_id: UUID
    timeout: timedelta
    now: Callable[[], float]
    seen: str | None = None
    pauses: Iterator[float] = field(default_factory=lambda: chain((2, 4, 8, 16), repeat(30)))

    def __post_init__(self) -> None:
        self.ends_at = self.now() + self.timeout.total_seconds()

    def is_news(self, job: Job) -> bool:
        """Note what was read; tell whether the status is another than before."""
        before, self.seen = self.seen, job.status
        return self.seen != before

    @property
    def has_ended(self) -> bool:
        return self.seen in ("completed", "failed")

    def pause(self, is_listening: bool) -> float:
        """Return how many seconds to wait at most before the next read."""
        left = self.ends_at - self.now()
        if left <= 0:
            raise TimeoutError(f"job {self.job_id} is still {self.seen} after {self.timeout}")
        return min(left, PRECAUTION if is_listening else next(self.pauses))


def watch(
    reader: Reader,
    url: str | None,
    user_id: UUID,
    job_id: UUID,
    timeout: timedelta = TIMEOUT,
    clock: Clock = CLOCK,
) -> Iterator[Job]:
    """Yield the job as it is and at each change of its status, until it has ended."""
    course = Course(job_id, timeout, clock.now)
    with Ear(url, job_id, clock.sleep, _patience(timeout)) as ear:
        while True:
            job = _read(reader, user_id, job_id)
            if course.is_news(job):
                yield job
            if course.has_ended:
                return
            ear.wait(course.pause(ear.is_listening))


def _read(reader: Reader, user_id: UUID, job_id: UUID) -> Job:
    """Read the job: once more when the connection was lost, for a client then has another."""
    try:
        return reader.get_video_status(user_id=user_id, job_id=job_id)
    except psycopg.OperationalError as error:
        if not _is_lost(error):
            raise
    return reader.get_video_status(user_id=user_id, job_id=job_id)


class Ear:
    """Waits for news of a job: on a connection that hears of it, where there can be one."""

    def __init__(
        self, url: str | None, job_id: UUID, sleep: Callable[[float], None], patience: float
    ) -> None:
        self._url = url
        self._patience = patience
        self._channel = _channel(job_id)
        self._sleep = sleep
        self._conn: psycopg.Connection[Any] | None = None

    @property
    def is_listening(self) -> bool:
        return self._conn is not None

    def __enter__(self) -> Self:
        if self._url is not None:
            try:
                self._listen(self._url)
            except psycopg.Error as error:
                self._give_up(error)
            except BaseException:
                self._close()
                raise
        return self

    def _listen(self, url: str) -> None:
        conn = self._conn = psycopg.connect(url, **_options(self._patience))
        timer = Timer(self._patience, _hang_up, [conn])
        timer.daemon = True
        timer.start()
        try:
            self._ask(conn)
        finally:
            timer.cancel()

    def _ask(self, conn: psycopg.Connection[Any]) -> None:
        if why := _deaf(conn.execute(_CAN_HEAR, [conn.info.backend_pid]).fetchone()):
            self._give_up(why)
        else:
            conn.execute(self._channel)

    def wait(self, seconds: float) -> None:
        """Return when there may be news, at the latest after so many seconds."""
        if self._conn is None:
            self._sleep(seconds)
            return
        try:
            for _ in self._conn.notifies(timeout=seconds, stop_after=1):
                pass
        except psycopg.OperationalError as error:
            self._give_up(error)

    def _give_up(self, why: object) -> None:
        _log.info("asking for a job's status from here on: %s", why)
        self._close()

    def _close(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()


def _patience(timeout: timedelta) -> float:
    """Return how many seconds a server may be silent; not longer than the watch itself lasts."""
    return max(min(LISTEN_SECONDS, timeout.total_seconds()), 0.001)


def _options(patience: float) -> dict[str, Any]:
    return _OPTIONS | {"connect_timeout": math.ceil(patience)}


def _hang_up(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    """Shut a connection whose server does not answer: whoever waits for it gets an error."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(conn.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


def _is_lost(error: psycopg.OperationalError) -> bool:
    state = error.sqlstate
    return state is None or state.startswith(("08", "57P"))


def _channel(job_id: UUID) -> sql.Composed:
    return sql.SQL("listen {}").format(sql.Identifier(f"rendio_job_{job_id}"))


def _deaf(row: tuple[bool, bool] | None) -> str | None:
    """Return why nothing would be heard on a connection."""
    is_direct, is_told = row or (False, False)
    if not is_direct:
        return "the connection goes through a pooler, which LISTEN does not survive"
    return None if is_told else "the setting job_notifications sends no NOTIFY"


# --- asyncio: the same, with await ----------------------------------------------------------------


async def watch_async(
    reader: AsyncReader,
    url: str | None,
    user_id: UUID,
    job_id: UUID,
    timeout: timedelta = TIMEOUT,
    clock: AsyncClock = ASYNC_CLOCK,
) -> AsyncIterator[Job]:
    """As `watch`."""
    course = Course(job_id, timeout, clock.now)
    async with AsyncEar(url, job_id, clock.sleep, _patience(timeout)) as ear:
        while True:
            job = await _read_async(reader, user_id, job_id)
            if course.is_news(job):
                yield job
            if course.has_ended:
                return
            await ear.wait(course.pause(ear.is_listening))


async def _read_async(reader: AsyncReader, user_id: UUID, job_id: UUID) -> Job:
    """As `_read`."""
    try:
        return await reader.get_video_status(user_id=user_id, job_id=job_id)
    except psycopg.OperationalError as error:
        if not _is_lost(error):
            raise
    return await reader.get_video_status(user_id=user_id, job_id=job_id)


class AsyncEar:
    """As `Ear`."""

    def __init__(
        self,
        url: str | None,
        job_id: UUID,
        sleep: Callable[[float], Awaitable[None]],
        patience: float,
    ) -> None:
        self._url = url
        self._patience = patience
        self._channel = _channel(job_id)
        self._sleep = sleep
        self._conn: psycopg.AsyncConnection[Any] | None = None

    @property
    def is_listening(self) -> bool:
        return self._conn is not None

    async def __aenter__(self) -> Self:
        if self._url is not None:
            try:
                await self._listen(self._url)
            except psycopg.Error as error:
                await self._give_up(error)
            except BaseException:
                await self._close()
                raise
        return self

    async def _listen(self, url: str) -> None:
        conn = await psycopg.AsyncConnection.connect(url, **_options(self._patience))
        self._conn = conn
        # To cancel the task would not do: psycopg then waits for the server to confirm.
        timer = asyncio.get_running_loop().call_later(self._patience, _hang_up, conn)
        try:
            await self._ask(conn)
        finally:
            timer.cancel()

    async def _ask(self, conn: psycopg.AsyncConnection[Any]) -> None:
        found = await conn.execute(_CAN_HEAR, [conn.info.backend_pid])
        if why := _deaf(await found.fetchone()):
            await self._give_up(why)
        else:
            await conn.execute(self._channel)

    async def wait(self, seconds: float) -> None:
        """Return when there may be news, at the latest after so many seconds."""
        if self._conn is None:
            await self._sleep(seconds)
            return
        try:
            async for _ in self._conn.notifies(timeout=seconds, stop_after=1):
                pass
        except psycopg.OperationalError as error:
            await self._give_up(error)

    async def _give_up(self, why: object) -> None:
        _log.info("asking for a job's status from here on: %s", why)
        await self._close()

    async def _close(self) -> None:
        if self._conn is not None:
            await self._conn.close()
            self._conn = None

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()
