"""The sync and the async client behind one interface, so that each test is written once."""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import psycopg
import psycopg_pool
from rendio import AsyncClient, Client


class Blocking:
    """Something asynchronous, used as if it were not: each await runs to its end."""

    def __init__(self, runner: asyncio.Runner, target: Any) -> None:
        self._runner = runner
        self._target = target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        return self._call(found) if callable(found) else found

    def __enter__(self) -> Any:
        return self._call(self._target.__aenter__)()

    def __exit__(self, *error: Any) -> Any:
        return self._call(self._target.__aexit__)(*error)

    def _call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            async def finished() -> Any:
                result = function(*args, **kwargs)
                return await result if inspect.isawaitable(result) else result

            result = self._runner.run(finished())
            is_async = any(hasattr(result, name) for name in ("__aenter__", "fetchone"))
            return Blocking(self._runner, result) if is_async else result

        return call


@dataclass
class Side:
    """One of the two halves of the client, with one way to the database."""

    is_async: bool
    url: str
    _cleanup: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "Side":
        if self.is_async:
            self._runner = self._cleanup.enter_context(asyncio.Runner())
        return self

    def __exit__(self, *error: Any) -> None:
        self._cleanup.close()

    def client(self, database: Any = None) -> Any:
        """A client for a URL, a connection or a pool; closed at the end of the test."""
        database = database or self.url
        if not self.is_async:
            return self._cleanup.enter_context(Client(database))
        target = database._target if isinstance(database, Blocking) else database
        return self._cleanup.enter_context(Blocking(self._runner, AsyncClient(target)))

    def connection(self, url: str = "", **options: Any) -> Any:
        """A connection that a caller might have."""
        options = {"prepare_threshold": None} | options
        kind = psycopg.AsyncConnection if self.is_async else psycopg.Connection
        opened = self._finished(kind.connect, url or self.url, **options)
        self._cleanup.callback(opened.close)
        return opened

    def pool(self, **options: Any) -> Any:
        """A pool that a caller might have, of at most two connections."""
        kwargs = {"prepare_threshold": None} | options
        sizes = {"min_size": 1, "max_size": 2, "open": False}
        if not self.is_async:
            return self._cleanup.enter_context(
                psycopg_pool.ConnectionPool(self.url, kwargs=kwargs, **sizes)
            )
        pool = psycopg_pool.AsyncConnectionPool(self.url, kwargs=kwargs, **sizes)
        wrapped = Blocking(self._runner, pool)
        wrapped.open()
        self._cleanup.callback(wrapped.close)
        return wrapped

    def at_once(self, calls: Sequence[tuple[Any, str, dict[str, Any]]]) -> list[Any]:
        """Make calls, each (client, method, arguments), in threads or tasks at the same time."""
        if not self.is_async:
            with ThreadPoolExecutor(len(calls)) as threads:
                futures = [threads.submit(getattr(c, m), **args) for c, m, args in calls]
                return [future.result() for future in futures]

        async def gather() -> list[Any]:
            return await asyncio.gather(*(getattr(c._target, m)(**args) for c, m, args in calls))

        return self._runner.run(gather())

    def _finished(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self.is_async:
            return function(*args, **kwargs)
        return Blocking(self._runner, None)._call(function)(*args, **kwargs)
