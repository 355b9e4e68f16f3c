"""A private server that is killed, and what its log says about that."""

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import servers
from rendio import migrate
from rendio.embedded import Server

HERE = Path(__file__).parent
DATABASE = "crash"
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "logical",
    "checkpoint_timeout": "30s",
    "recovery_init_sync_method": "syncfs",
    "max_connections": "60",
    # A call that waits where the test holds it is in the log by name, with the functions it is in.
    "log_line_prefix": "%m [%p] %a ",
    "log_lock_waits": "on",
    "deadlock_timeout": "30ms",
}
PATIENCE = 60.0


class CrashServer:
    """The server, its database with rendio and the seams, and its ends."""

    def __init__(self, scratch: servers.Scratch) -> None:
        self._server = Server(scratch.bin_dir, scratch.folder / "pg", settings=servers.SETTINGS)
        self._server.database = DATABASE
        self._server.ensure_started()
        self.url = self._server.url(DATABASE)
        self.log = self._server.data_dir / "server.log"
        migrate.apply(self.url)
        with self.connect() as conn:
            conn.execute((HERE / "seams.sql").read_text())
        self._server.settings = SETTINGS  # nothing has to survive before
        self._server.ensure_started()

    @property
    def version(self) -> str:
        return self._server.version

    def connect(self) -> psycopg.Connection[Any]:
        """Connect as the login that migrated, each statement a transaction of its own."""
        return psycopg.connect(self.url, autocommit=True)

    def kill_backend(self, pid: int) -> None:
        """Kill one backend; the postmaster then ends the others and recovers."""
        offset = self.log_size()
        os.kill(pid, signal.SIGKILL)
        sentence = f"(PID {pid}) was terminated by signal 9"
        self.await_log(offset, lambda text: sentence in text, "the postmaster's word on the kill")
        self._await_answer(offset)

    def kill_postmaster(self) -> None:
        """Kill the postmaster alone, as the kernel does when memory is short; start another.

        What its backends are doing at that moment they may still finish.
        """
        os.kill(self._postmaster(), signal.SIGKILL)
        self._server.ensure_started()

    def kill_everything(self, held: int) -> None:
        """Kill all processes of the server as they stand, as a power cut does; start it again.

        They are stopped first: a held backend would else run on when the test's lock, which has
        ended with its holder, lets it.
        """
        with self.connect() as conn:
            asked = conn.execute("select pid from pg_stat_activity where pid <> pg_backend_pid()")
            pids = [held, *(pid for (pid,) in asked.fetchall() if pid != held)]
        pids.insert(0, self._postmaster())
        for sent in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                _signal(pid, sent)
        self._server.ensure_started()

    def _postmaster(self) -> int:
        return int((self._server.data_dir / "postmaster.pid").read_text().split()[0])

    def _await_answer(self, offset: int) -> None:
        ready = "database system is ready to accept connections"
        self.await_log(offset, lambda text: ready in text, "the recovery's end")
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    # -- the log

    def log_size(self) -> int:
        return self.log.stat().st_size

    def log_since(self, offset: int) -> str:
        with self.log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")

    def await_log(self, offset: int, found: Callable[[str], Any], what: str) -> str:
        """Wait until the log says something, and return it from the offset on."""
        deadline = time.monotonic() + PATIENCE
        while not found(text := self.log_since(offset)):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} is not in {self.log}")
            time.sleep(0.01)
        return text


def waits_inside(log: str, name: str, function: str) -> bool:
    """Tell whether the log shows the call of that name waiting, and within which function.

    At the commit the function has returned: then the wait is the deferred trigger's alone.
    """
    line = rf"^[^\n]* {re.escape(name)} "
    waits = rf"{line}LOG:  process \d+ still waiting for ShareLock on advisory lock[^\n]*\n"
    context = rf"{line}DETAIL:[^\n]*\n{line}CONTEXT:  ([^\n]*\n(?:\t[^\n]*\n)*)"
    found = re.search(waits + context, log, re.MULTILINE)
    if not found:
        return False
    frames = found[1]
    at_commit = frames.rstrip().endswith("function crash.reach_after_write() line 3 at PERFORM")
    return at_commit or f"PL/pgSQL function {function}(" in frames


def died_inside(log: str, pid: int, function: str) -> bool:
    """Tell whether the log shows that backend killed while it ran that function."""
    pattern = (
        rf"\(PID {pid}\) was terminated by signal 9[^\n]*\n"
        rf"[^\n]*Failed process was running: [^\n]*{re.escape(function)}\("
    )
    return re.search(pattern, log) is not None


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
