"""The command as a process: what it checks, shows and logs, many clients, and how it ends."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import sleep
from typing import Any

import httpx
import psycopg
import pytest
from edge_server import SECRET, SERVICE, WAIT_SECONDS, as_user
from psycopg.conninfo import make_conninfo

pytestmark = [pytest.mark.once, pytest.mark.shapeless]

RENDIO = (sys.executable, "-c", "from rendio.cli import main; main()")
PASSWORD = "hunter2"  # the private server asks for none, so any will do
CLIENTS = 1000
WAITS = """
select 1
from pg_locks
where not granted
    and database = (select oid from pg_database where datname = current_database())
"""


class Process:
    """``rendio serve`` and its log, as far as it was read."""

    def __init__(self, database_url: str, **environ: str) -> None:
        command = [*RENDIO, "serve", "--port", "0"]
        given = {
            "DATABASE_URL": make_conninfo(database_url, password=PASSWORD),
            "RENDIO_JWT_SECRET": SECRET,
        }
        self._process = subprocess.Popen(
            command, env=os.environ | given | environ, stderr=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid
        self.log: list[str] = []
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        Thread(target=self._read, daemon=True).start()
        line = self.wait_for("Uvicorn running on")
        self.url = line.split("running on ")[1].split()[0]

    def _read(self) -> None:
        """Keep the pipe empty: a full one would stop the server."""
        assert self._process.stderr
        for line in self._process.stderr:
            self.log.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, event: str) -> str:
        while line := self._lines.get(timeout=WAIT_SECONDS):
            told = json.loads(line)
            if event in told["event"]:
                return str(told["event"])
        pytest.fail("it ended: " + "".join(self.log))

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def end(self) -> int:
        """Return how it ended, once it has."""
        code = self._process.wait(timeout=WAIT_SECONDS)
        while self._lines.get(timeout=WAIT_SECONDS):
            pass
        return code

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def spawn(edge_db: str) -> Iterator[Callable[..., Process]]:
    with ExitStack() as stack:

        def make(**environ: str) -> Process:
            made = Process(edge_db, **({"RENDIO_TIMEOUT_ANON": "600"} | environ))
            stack.callback(made.kill)
            return made

        yield make


@pytest.fixture
def process(spawn: Callable[..., Process]) -> Process:
    return spawn(RENDIO_POOL_QUEUE="20")


@contextmanager
def blocked(edge_db: str) -> Iterator[Callable[[], None]]:
    """Let who reads the catalogue wait; yield what waits until somebody does."""
    with psycopg.connect(edge_db) as conn, psycopg.connect(edge_db, autocommit=True) as other:
        conn.execute("lock table public.catalog_version in access exclusive mode")

        def until_waited_for() -> None:
            while not other.execute(WAITS).fetchone():
                sleep(0.01)

        yield until_waited_for
        conn.rollback()


def test_secrets_show_in_no_log_and_no_list_of_processes(process: Process) -> None:
    user = "8d6e0d6f-4d4f-4f6e-9a55-000000000001"
    given = {"p_user_id": user}
    place = f"{process.url}/rest/v1/rpc/get_user_credits"
    headers = as_user(user)
    assert httpx.post(place, json=given, headers=headers).json()["code"] == "PT404"
    assert httpx.post(place, content=b"{", headers=SERVICE).status_code == 400
    shown = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
    process.stop()
    assert process.end() == 0
    told = "\n".join([*process.log, shown])
    assert "get_user_credits" in told
    for secret in (SECRET, PASSWORD, user, headers["Authorization"][7:], "postgresql://"):
        assert secret not in told


def test_what_has_begun_is_answered_before_the_end(process: Process, edge_db: str) -> None:
    place = f"{process.url}/functions/v1/get-models"
    assert httpx.get(place).is_success
    with ThreadPoolExecutor(1) as threads:
        with blocked(edge_db) as until_waited_for:
            begun = threads.submit(lambda: httpx.get(place, timeout=60))
            until_waited_for()
            process.stop()
            process.wait_for("Waiting for connections to close")
            with pytest.raises(httpx.ConnectError):
                httpx.get(place)
        assert begun.result().status_code == 200
    assert process.end() == 0


def test_the_end_does_not_wait_for_ever(spawn: Callable[..., Process], edge_db: str) -> None:
    process = spawn(RENDIO_STOP_SECONDS="1")
    place = f"{process.url}/functions/v1/get-models"
    assert httpx.get(place).is_success
    with ThreadPoolExecutor(1) as threads, blocked(edge_db) as until_waited_for:
        begun = threads.submit(lambda: httpx.get(place, timeout=60))
        until_waited_for()
        process.stop()
        assert process.end() == 0
        assert begun.exception() or begun.result().status_code >= 500
    assert "Traceback" not in "".join(process.log)


def test_a_thousand_connections(process: Process) -> None:
    """Each gets an answer: what it asked for, or 503 and when to come back."""
    host, port = process.url.removeprefix("http://").split(":")
    text = "GET /functions/v1/get-models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    async def ask(all_connected: asyncio.Barrier) -> tuple[int, bool]:
        reader, writer = await asyncio.open_connection(host, int(port))
        await all_connected.wait()
        writer.write(text.encode())
        answer = await reader.read()
        writer.close()
        return int(answer.split()[1]), b"retry-after" in answer.lower()

    async def ask_all() -> list[tuple[int, bool]]:
        barrier = asyncio.Barrier(CLIENTS)
        return await asyncio.wait_for(
            asyncio.gather(*(ask(barrier) for _ in range(CLIENTS))), timeout=60
        )

    answers = asyncio.run(ask_all())
    assert set(answers) <= {(200, False), (503, True)}
    assert (200, False) in answers
    assert httpx.get(f"{process.url}/readyz", timeout=30).is_success


def check(database_url: str, **environ: str) -> Any:
    command = [*RENDIO, "serve", "--check"]
    given = {"DATABASE_URL": database_url, "RENDIO_JWT_SECRET": SECRET}
    return subprocess.run(
        command, env=os.environ | given | environ, capture_output=True, text=True, timeout=60
    )


def test_check_says_what_is_missing(edge_db: str, empty_db: str) -> None:
    good = check(edge_db)
    assert good.returncode == 0, good.stdout
    assert "ok       rendio is applied" in good.stdout
    assert "off      device/check: Apple's keys: not set: it answers 503" in good.stdout
    assert "missing" not in good.stdout
    wrong = {"RENDIO_JWKS": "/nowhere.json", "RENDIO_POOL_SIZE": "100000"}
    wrong |= {"APPLE_BUNDLE_ID": "a", "APPLE_APP_ID": "1", "APPLE_ROOT_CERTIFICATES": __file__}
    bad = check(empty_db, **wrong)
    assert bad.returncode == 1
    for what in (
        "rendio is applied: rendio apply",
        "RENDIO_JWKS has public keys",
        "RENDIO_POOL_SIZE",
        "update-credits",
    ):
        assert f"missing  {what}" in bad.stdout
    assert "Traceback" not in bad.stderr
