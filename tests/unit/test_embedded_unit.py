"""The embedded server's decisions, without a server."""

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from rendio import embedded
from rendio.embedded import EmbeddedError, Server

Monkey = pytest.MonkeyPatch


def fake_binaries(folder: Path, version: str = "18.4") -> Path:
    """Make a bin folder whose every tool tells a version and does nothing else."""
    folder.mkdir(parents=True)
    for tool in ("initdb", "postgres", "pg_ctl", "psql"):
        (folder / tool).write_text(f"#!/bin/sh\necho '{tool} (PostgreSQL) {version}'\n")
        (folder / tool).chmod(0o755)
    return folder


# --- binaries


def test_rendio_pg_bin_comes_first(tmp_path: Path, monkeypatch: Monkey) -> None:
    bin_dir = fake_binaries(tmp_path / "bin", "17.2 (Debian 17.2-1)")
    monkeypatch.setenv("RENDIO_PG_BIN", str(bin_dir))
    assert embedded.find_binaries() == bin_dir
    assert Server(bin_dir, tmp_path / "data").version == "17.2"
    assert Server(bin_dir, tmp_path / "data").major == 17


def test_rendio_pg_bin_without_a_server_is_an_error(tmp_path: Path, monkeypatch: Monkey) -> None:
    monkeypatch.setenv("RENDIO_PG_BIN", str(tmp_path))
    with pytest.raises(EmbeddedError, match=f"RENDIO_PG_BIN={tmp_path} holds no initdb"):
        embedded.find_binaries()


def test_a_vanished_carrier_leaves_the_path(tmp_path: Path, monkeypatch: Monkey) -> None:
    bin_dir = fake_binaries(tmp_path / "bin", "16.1")
    monkeypatch.delenv("RENDIO_PG_BIN", raising=False)
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", f"{bin_dir}:/usr/bin:/bin")
    assert embedded.find_binaries() == bin_dir


def test_no_server_at_all_says_what_to_install(monkeypatch: Monkey) -> None:
    def none(major: int | None = None) -> Path:
        raise EmbeddedError("none")

    monkeypatch.delenv("RENDIO_PG_BIN", raising=False)
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    monkeypatch.setattr(embedded, "system_binaries", none)
    with pytest.raises(EmbeddedError, match=r"pip install 'rendio\[embedded\]'"):
        embedded.find_binaries()


def test_a_major_that_is_not_carried(monkeypatch: Monkey) -> None:
    with pytest.raises(EmbeddedError, match="no PostgreSQL 14 carried"):
        embedded.carrier_binaries(14)


# --- places


def test_home_is_rendio_home_else_xdg(tmp_path: Path, monkeypatch: Monkey) -> None:
    monkeypatch.setenv("RENDIO_HOME", str(tmp_path / "a"))
    assert embedded.home() == tmp_path / "a"
    monkeypatch.delenv("RENDIO_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "x"))
    monkeypatch.setattr(embedded.os, "geteuid", lambda: 1000)
    assert embedded.home() == tmp_path / "x" / "rendio"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert embedded.home() == tmp_path / ".local" / "share" / "rendio"


def test_root_keeps_its_data_where_the_server_can_go(monkeypatch: Monkey) -> None:
    monkeypatch.delenv("RENDIO_HOME", raising=False)
    monkeypatch.setattr(embedded.os, "geteuid", lambda: 0)
    assert embedded.home() == Path("/var/lib/rendio")


@pytest.mark.parametrize("length", [10, 80, 90, 300])
def test_a_socket_path_fits_whatever_the_folder(length: int) -> None:
    server = Server(Path("/bin"), Path("/" + "d" * length) / "pg18", tcp_port=65432)
    assert len(str(server.socket_dir / ".s.PGSQL.65432")) <= embedded.SOCKET_PATH_LIMIT
    assert server.socket_dir == Server(Path("/bin"), server.data_dir, tcp_port=65432).socket_dir


@pytest.mark.parametrize("name", ["rendio", "with space", "it's/50% ä?", 'a"b'])
def test_a_url_names_database_and_folder(name: str) -> None:
    server = Server(Path("/bin"), Path("/some where/pg18"), superuser="o'brien@home")
    assert conninfo_to_dict(server.url(name)) == {
        "user": "o'brien@home",
        "host": "/some where/pg18.run",
        "port": "5432",
        "dbname": name,
    }


def test_a_tcp_url_needs_a_port() -> None:
    with pytest.raises(EmbeddedError, match="tcp_port"):
        Server(Path("/bin"), Path("/pg")).tcp_url("secret")
    url = Server(Path("/bin"), Path("/pg"), tcp_port=6000).tcp_url("p@ss/word")
    assert conninfo_to_dict(url)["password"] == "p@ss/word"


def test_settings_are_quoted(tmp_path: Path) -> None:
    conf = Server(Path("/bin"), tmp_path / "pg", settings={"a.b": r"it's C:\x"})._conf()
    assert r"a.b = 'it''s C:\\x'" in conf.splitlines()


# --- the socket's answer


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        ("FATAL:  the database system is starting up", "BUSY"),
        ("FATAL:  the database system is shutting down", "BUSY"),
        ("FATAL:  the database system is not yet accepting connections", "BUSY"),
        ("server closed the connection unexpectedly", "BUSY"),
        ("FATAL:  sorry, too many clients already", "UP"),
        ("connection to server on socket failed: Connection refused", "DOWN"),
        ("connection to server on socket failed: No such file or directory", "DOWN"),
        ('FATAL:  could not load library "/x/plpgsql.so": undefined symbol: y', "BROKEN"),
        ('could not load library "/x.so": /x.so: No such file or directory', "BROKEN"),
    ],
)
def test_what_the_socket_tells(told: str, answer: str, monkeypatch: Monkey) -> None:
    server = Server(Path("/bin"), Path("/pg"))
    reply = subprocess.CompletedProcess([], 2, "", told)
    monkeypatch.setattr(server, "_psql", lambda sql: reply)
    assert server._ask().name == answer


def test_an_answer_that_is_not_understood_is_shown(monkeypatch: Monkey) -> None:
    server = Server(Path("/bin"), Path("/pg"))
    reply = subprocess.CompletedProcess([], 2, "", 'FATAL:  role "postgres" does not exist')
    monkeypatch.setattr(server, "_psql", lambda sql: reply)
    with pytest.raises(EmbeddedError, match='role "postgres" does not exist'):
        server._ask()


def test_a_tool_that_does_not_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=f"cannot run {tmp_path}/postgres: No such file"):
        embedded.server_version(tmp_path)


# --- the lock


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with embedded._locked(tmp_path / "lock"):
            order.append("second")

    with embedded._locked(tmp_path / "lock"):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.2)
        order.append("first")
        assert waiting.is_alive()
    waiting.join()
    assert order == ["first", "second"]


def test_a_lock_file_that_was_removed_meanwhile_is_no_lock(
    tmp_path: Path, monkeypatch: Monkey
) -> None:
    """Whoever waits on a file that is gone must not hold it beside the owner of the new one."""
    path, opened = tmp_path / "lock", []
    real: Callable[..., int] = embedded.os.open

    def removed_after_first(*arguments: object) -> int:
        handle = real(*arguments)
        opened.append(handle)
        if len(opened) == 1:
            path.unlink()
        return handle

    monkeypatch.setattr(embedded.os, "open", removed_after_first)
    with embedded._locked(path):
        assert len(opened) == 2
        assert path.exists()


def test_a_stuck_lock_is_reported(tmp_path: Path, monkeypatch: Monkey) -> None:
    monkeypatch.setattr(embedded, "LOCK_SECONDS", 0.0)
    with (
        embedded._locked(tmp_path / "lock"),
        pytest.raises(EmbeddedError, match="held by another process"),
        embedded._locked(tmp_path / "lock"),
    ):
        pass
