"""End what a connection runs when its time is up, whatever it does."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator

import psycopg

from .session import Connection, connect

GRACE = 2.0  # seconds between one means and the next


@contextlib.contextmanager
def time_limit(connection: Connection, seconds: float | None) -> Iterator[threading.Event]:
    """Interrupt the connection after some seconds (none: never); the event says that it happened.

    statement_timeout would count each statement alone, and a file may set it itself.
    """
    done, expired = threading.Event(), threading.Event()

    def watch() -> None:
        if done.wait(seconds):
            return
        expired.set()
        for means in (_cancel, _terminate, _hang_up):
            # A thread of its own: before libpq 17 a cancel request waits for a frozen server.
            threading.Thread(target=_try, args=(means, connection), daemon=True).start()
            if done.wait(GRACE):
                return

    if not seconds:
        yield expired
        return
    watcher = threading.Thread(target=watch, name="pgtap time limit", daemon=True)
    watcher.start()
    try:
        yield expired
    finally:
        done.set()
        watcher.join()


def _try(means: Callable[[Connection], None], connection: Connection) -> None:
    with contextlib.suppress(psycopg.Error, OSError):
        means(connection)


def _cancel(connection: Connection) -> None:
    connection.cancel_safe(timeout=GRACE)


def _terminate(connection: Connection) -> None:
    """End the server's process: a file can catch query_canceled, but not this."""
    info = connection.info
    with contextlib.closing(connect(info.dsn, password=info.password)) as other:
        other.execute("select pg_catalog.pg_terminate_backend(%s)", [info.backend_pid])


def _hang_up(connection: Connection) -> None:
    """Shut the socket, so that waiting for a server that answers nothing ends."""
    with socket.socket(fileno=os.dup(connection.fileno())) as ours:
        ours.shutdown(socket.SHUT_RDWR)
