"""One new device at a time is given its credits, by all servers of a database together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from psycopg.errors import QueryCanceled
from psycopg_pool import PoolTimeout, TooManyRequests

from rendio._wire import set_identity
from rendio.edge.errors import unavailable
from rendio.edge.pool import PATIENCE_SECONDS, cut_off_after, pool
from rendio.edge.settings import Settings

LOCK = (1919250020, 1684371043)  # 'rend', 'devc' in ASCII
WAIT_SECONDS = 10.0
HELD_SECONDS = 30.0
WAITED_TOO_LONG = (TimeoutError, PoolTimeout, TooManyRequests, QueryCanceled)


class Turns:
    """A lock in the database, and a queue for it here.

    The lock is held by a transaction on a connection beside the pool: whoever has the turn needs
    one of the pool's for the work. There is one such connection, which makes its pool the queue.
    """

    def __init__(self, settings: Settings) -> None:
        self._pool = pool(settings, "turns", 1, min_size=0)
        self._places: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(self) -> None:
        await self._pool.open(wait=False)

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def turn(self, place: str | None) -> AsyncIterator[None]:
        """Hold the turn until the end of the block, which must end before the lock is taken away.

        Those of one place, an address, have one place in the queue: who comes with many requests
        makes others wait for one of them.
        """
        async with AsyncExitStack() as held:
            try:
                await self._wait(place, held)
            except WAITED_TOO_LONG:
                raise unavailable("too_many_new_devices", "Try again.") from None
            try:
                async with asyncio.timeout(HELD_SECONDS):
                    yield
            except TimeoutError:
                raise unavailable("devicecheck_unavailable", "Try again.") from None

    async def _wait(self, place: str | None, held: AsyncExitStack) -> None:
        now = asyncio.get_running_loop().time
        ended = now() + WAIT_SECONDS
        if place is not None:
            async with asyncio.timeout(WAIT_SECONDS):
                await held.enter_async_context(self._places.setdefault(place, asyncio.Lock()))
        await held.enter_async_context(self._locked(max(ended - now(), 0.001)))

    @asynccontextmanager
    async def _locked(self, seconds: float) -> AsyncIterator[None]:
        limits = {
            "statement_timeout": f"{seconds * 1000:.0f}ms",
            # A server that stands still must not keep all others from their turns.
            "idle_in_transaction_session_timeout": f"{HELD_SECONDS + PATIENCE_SECONDS:.0f}s",
        }
        async with self._pool.connection(seconds) as conn:
            with cut_off_after(seconds + HELD_SECONDS + PATIENCE_SECONDS, conn):
                async with conn.transaction():
                    await conn.execute(*set_identity(limits))
                    await conn.execute("select pg_catalog.pg_advisory_xact_lock(%s, %s)", LOCK)
                    yield
