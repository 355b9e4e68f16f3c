"""How a file is run: what ends it early, and that it leaves nothing open."""

import contextlib
import socket
import threading
from pathlib import Path

import pytest
from endings import END, ENDINGS, PLAN_1
from pgtap_runner import limit, run_file, session
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from support import rows, write


def test_bail_out_stops_the_file(tap_database: str, tmp_path: Path) -> None:
    path = write(
        tmp_path / "bail.sql",
        "select plan(2); select pass('a'); select 'Bail out!  disk full';"
        "create table public.too_far(); select pass('b');",
    )
    result = run_file(tap_database, path)
    assert result.headline() == "Bail out! disk full"
    assert len(result.report.assertions) == 1


def test_a_file_may_ask_for_pgtap(tap_database: str, tmp_path: Path) -> None:
    text = "create extension if not exists pgtap;\ncreate extension if not exists plpgsql;\n"
    path = write(tmp_path / "asks.sql", text + ENDINGS["passes"].sql)
    result = run_file(tap_database, path)
    assert result.ok, result.text()


@pytest.mark.parametrize(
    ("statement", "lasts"),
    [
        ("create table public.left_behind ()", True),
        ("comment on schema public is 'mine'; comment on schema public is null", True),
        ("create temp table t (n int); insert into t values (1); drop table t", False),
        ("create temporary table if not exists t (n int); delete from T", False),
        ("set search_path = public; select 1; do $$ begin end $$", False),
    ],
)
def test_what_is_done_outside_a_transaction(
    statement: str, lasts: bool, database: str, tmp_path: Path
) -> None:
    text = f"{statement};\nbegin; select '1..1'; select 'ok 1'; rollback;"
    result = run_file(database, write(tmp_path / "outside.sql", text))
    assert result.ok != lasts
    assert ("stays in the database" in result.text()) == lasts


def test_unexpected_pass_is_told(tap_database: str, tmp_path: Path) -> None:
    path = write(tmp_path / "todo.sql", ENDINGS["todo"].sql)
    result = run_file(tap_database, path, name="todo.sql")
    assert result.todo_passed == ["todo.sql:1: ok 2 - b # TODO later"]


def test_an_unreadable_file_is_a_failure(tap_database: str, tmp_path: Path) -> None:
    result = run_file(tap_database, tmp_path / "gone.sql", name="gone.sql")
    assert result.error == "gone.sql: No such file or directory"


@pytest.mark.parametrize(
    "statement",
    [
        "select pg_sleep(600)",
        "do $$ begin loop begin perform pg_sleep(600);"
        " exception when query_canceled then null; end; end loop; end $$",
    ],
)
def test_a_file_may_not_run_for_ever(
    statement: str, tap_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limit, "GRACE", 0.2)
    path = write(tmp_path / "slow.sql", PLAN_1 + f"select pass('a');\n{statement};" + END)
    result = run_file(tap_database, path, timeout=0.5, name="slow.sql")
    assert result.error == "slow.sql:3: timed out after 0.5 s"
    assert len(result.report.assertions) == 1


@pytest.mark.parametrize("opening", ["", "begin;", "begin; select 1/0;"])
def test_a_file_leaves_nothing_open(opening: str, tap_database: str, tmp_path: Path) -> None:
    text = f"{opening} select plan(1); create table public.left_behind(); select pass();"
    run_file(tap_database, write(tmp_path / "open.sql", text))
    assert rows(tap_database, "select to_regclass('public.left_behind')") == [(None,)]


class FreezingProxy:
    """Carries bytes to a server until the client has sent certain ones; then all stands still."""

    def __init__(self, url: str, trigger: bytes) -> None:
        parts = conninfo_to_dict(url)
        self._server, self._port = str(parts["host"]), int(str(parts.get("port", 5432)))
        self._trigger = trigger
        self._frozen = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listening]
        self.url = make_conninfo(url, host="127.0.0.1", port=self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        while not self._frozen.is_set():
            client, _ = self._listening.accept()
            if self._server.startswith("/"):
                server = socket.socket(socket.AF_UNIX)
                server.connect(f"{self._server}/.s.PGSQL.{self._port}")
            else:
                server = socket.create_connection((self._server, self._port))
            self._sockets += [client, server]
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                if self._trigger in data:
                    self._frozen.set()
                if self._frozen.is_set():
                    return
                target.sendall(data)


def test_a_server_that_stops_answering_is_left(
    tap_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limit, "GRACE", 0.2)
    monkeypatch.setattr(session, "CONNECT_TIMEOUT", 2)  # libpq's shortest
    path = write(tmp_path / "lost.sql", PLAN_1 + "select pass('a');\nselect 'freeze';" + END)
    with contextlib.closing(FreezingProxy(tap_database, b"'freeze'")) as proxy:
        result = run_file(proxy.url, path, timeout=0.3, name="lost.sql")
    assert result.error == "lost.sql:3: timed out after 0.3 s"
    assert len(result.report.assertions) == 1
