"""Races with real connections, each of which proves that it was one.

All sessions wait behind a lock that the referee holds. Only when the server shows every one of them
waiting (``pg_locks.granted`` is false) does the referee let go of it, so they run together.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import psycopg
from rpc import Connection, Outcome, outcome_of, value

FEWEST = 8
PATIENCE = 60  # seconds until a session that never waits is called a broken test

Task = Callable[[Connection], Any]


def hold_row(table: str, condition: str, *args: object) -> tuple[str, tuple[object, ...]]:
    """Return the statement of a referee that holds the rows which the sessions go for."""
    return f"select from {table} where {condition} for no key update", args


def hold_table(table: str) -> tuple[str, tuple[object, ...]]:
    """Return the statement of a referee behind whom readers and writers of a table wait."""
    return f"lock table {table} in access exclusive mode", ()


def race(
    url: str, tasks: Sequence[Task], held: tuple[str, Sequence[object]], *, fewest: int = FEWEST
) -> list[Outcome]:
    """Run the tasks at the same moment, each on its own connection; return how each ended.

    The first task is the first in the queue, which for a row decides who gets it.
    """
    assert len(tasks) >= fewest, "too few sessions for a race"
    with ExitStack() as stack:
        sessions = [_session(stack, url) for _ in tasks]
        observer = _session(stack, url)
        # Entered after the sessions are open and left first, whatever happens: the referee's end
        # is what ends the threads.
        pool = stack.enter_context(ThreadPoolExecutor(len(tasks)))
        referee = stack.enter_context(psycopg.connect(url))
        referee.execute("set local role rendio_owner")
        referee.execute(*held)
        running = [pool.submit(outcome_of, tasks[0], sessions[0])]
        wait_until_waiting(observer, sessions[:1], running)
        pairs = zip(tasks[1:], sessions[1:], strict=True)
        running += [pool.submit(outcome_of, *pair) for pair in pairs]
        wait_until_waiting(observer, sessions, running)
        referee.rollback()
        return [future.result() for future in running]


def _session(stack: ExitStack, url: str) -> Connection:
    return stack.enter_context(psycopg.connect(url, autocommit=True))


def wait_until_waiting(
    observer: Connection, sessions: Iterable[Connection], running: Iterable[Future[Any]]
) -> None:
    """Return once the server shows each of the sessions waiting for a lock."""
    pids = [session.info.backend_pid for session in sessions]
    deadline = time.monotonic() + PATIENCE
    while (seen := waiting(observer, pids)) < len(pids):
        assert not any(future.done() for future in running), "no race: a session did not wait"
        assert time.monotonic() < deadline, f"no race: {seen} of {len(pids)} sessions waited"
        time.sleep(0.01)


def waiting(observer: Connection, pids: list[int]) -> int:
    """Return how many of these server processes wait for a lock."""
    query = "select count(distinct pid) from pg_locks where not granted and pid = any(%s)"
    return int(value(observer, query, pids))
