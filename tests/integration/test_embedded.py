"""The embedded server's life: started, killed, broken, foreign, stopped, removed."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import servers
from rendio import embedded
from rendio.embedded import EmbeddedError, Server

pytestmark = pytest.mark.once

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it becomes another user")
FAST = {"fsync": "off", "max_connections": "20"}


@pytest.fixture(scope="module")
def bin_dir(run: servers.Run) -> Path:
    """The binaries that this run is about; the carrier's when its server is somebody else's."""
    return run.bin_dir or embedded.find_binaries()


@pytest.fixture
def place(bin_dir: Path) -> Iterator[Path]:
    """A folder that the server's user may enter; servers in it are removed afterwards."""
    scratch = servers.Scratch(bin_dir, in_memory=True)
    yield scratch.folder
    scratch.close()


@pytest.fixture
def fresh(bin_dir: Path, place: Path) -> Server:
    """A server of this test's own, not made yet."""
    return Server(bin_dir, place / "pg", settings=FAST, database="rendio")


@pytest.fixture(scope="module")
def shared(bin_dir: Path) -> Iterator[Server]:
    scratch = servers.Scratch(bin_dir, in_memory=True)
    yield Server(bin_dir, scratch.folder / "pg", settings=FAST, database="rendio")
    scratch.close()


@pytest.fixture
def server(shared: Server) -> Server:
    """A running server; whatever a test does to it, the next one finds it healed."""
    return shared.ensure_started()


def ask(server: Server, query: str) -> object:
    with psycopg.connect(server.url()) as conn:
        row = conn.execute(query).fetchone()  # type: ignore[arg-type]
    return row[0] if row else None


def postmaster(server: Server) -> int:
    return int((server.data_dir / "postmaster.pid").read_text().split()[0])


# --- what one finds


def test_a_started_server_answers_as_promised(server: Server) -> None:
    assert ask(server, "select current_database()") == "rendio"
    assert ask(server, "select session_user::text") == "postgres"
    assert ask(server, "show data_directory") == str(server.data_dir)
    assert ask(server, "show server_encoding") == "UTF8"
    assert ask(server, "select datcollate from pg_database where datname = 'rendio'") == "C"
    assert ask(server, "show data_checksums") == "on"
    assert ask(server, "show listen_addresses") == ""
    assert ask(server, "show timezone") == "UTC"
    assert str(ask(server, "show server_version")).startswith(server.version)
    assert server.status().state == "running"
    told = subprocess.run(
        [server.psql_path, "-XAtc", "select 41 + 1", server.url()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "42\n"


def test_nobody_else_reaches_the_socket(server: Server) -> None:
    found = server.socket_dir.stat()
    assert found.st_mode & 0o777 == 0o700
    assert found.st_uid == server.data_dir.stat().st_uid
    hba = ask(
        server,
        "select string_agg(distinct auth_method, ',') from pg_hba_file_rules where address > ''",
    )
    assert hba == "scram-sha-256"


@as_root
def test_another_user_of_the_machine_is_kept_out(server: Server) -> None:
    other = pwd.getpwnam("nobody" if server._user and server._user.pw_name != "nobody" else "bin")
    tried = subprocess.run(
        ["psql", "-XAtc", "select 1", server.url()],
        executable=server.psql_path,
        user=other.pw_uid,
        group=other.pw_gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert "Permission denied" in tried.stderr


def test_the_environment_does_not_lead_elsewhere(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "1",
        "PGSERVICE": "nowhere",
        "PGOPTIONS": "-c no.such=thing -c nonsense",
        "LC_ALL": "de_DE.UTF-8",
    }.items():
        monkeypatch.setenv(name, value)
    before = postmaster(server)
    assert server.ensure_started() is server
    assert postmaster(server) == before


def test_a_dropped_database_comes_back(server: Server) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
        conn.execute("drop database rendio")
        assert server.status().state == "running"
        left = conn.execute("select from pg_database where datname = 'rendio'").fetchone()
        assert left is None, "status changes nothing"
    server.ensure_started()
    assert ask(server, "select current_database()") == "rendio"


# --- starting


def test_two_at_once_get_one_server(bin_dir: Path, place: Path) -> None:
    """Two processes, because a lock of one process would not show it."""
    code = (
        "import sys; from pathlib import Path; from rendio.embedded import Server\n"
        "server = Server(Path(sys.argv[1]), Path(sys.argv[2]), settings={'fsync': 'off'})\n"
        "print((server.ensure_started().data_dir / 'postmaster.pid').read_text().split()[0])"
    )
    command = [sys.executable, "-c", code, str(bin_dir), str(place / "pg")]
    with ThreadPoolExecutor(3) as pool:
        told = list(pool.map(lambda _: subprocess.check_output(command, text=True), range(3)))
    assert len(set(told)) == 1


def test_a_killed_server_comes_back_with_its_data(server: Server) -> None:
    with psycopg.connect(server.url()) as conn:
        conn.execute("create table kept as select 7 as n")
    killed = postmaster(server)
    os.kill(killed, signal.SIGKILL)
    server.ensure_started()
    assert ask(server, "select n from kept") == 7
    assert postmaster(server) != killed


def test_a_recorded_pid_that_is_somebody_elses_by_now(server: Server) -> None:
    """PostgreSQL itself refuses to start while a process with that number and user lives."""
    owner = pwd.getpwuid(server.data_dir.stat().st_uid)
    stranger = subprocess.Popen(["sleep", "60"], user=owner.pw_uid, cwd="/")
    try:
        path = server.data_dir / "postmaster.pid"
        text = path.read_text()
        os.kill(postmaster(server), signal.SIGKILL)
        server.ensure_started()
        server.stop()
        path.write_text(text.replace(text.split()[0], str(stranger.pid), 1))
        os.chown(path, owner.pw_uid, owner.pw_gid)
        assert server.status().state == "stopped"
        assert not server.stop()
        server.ensure_started()
        assert ask(server, "select 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_deleted_socket_is_made_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """As cleaners of /tmp do: the server runs on, and nobody can ever reach it."""
    monkeypatch.setattr(embedded, "ORPHAN_SECONDS", 0.2)
    before = postmaster(server)
    shutil.rmtree(server.socket_dir)
    server.ensure_started()
    assert ask(server, "select 1") == 1
    assert postmaster(server) != before


def test_a_killed_initdb_leaves_nothing_in_the_way(fresh: Server) -> None:
    draft = fresh.data_dir.with_name("pg.new")
    draft.mkdir()
    (draft / "PG_VERSION").write_text("half")
    fresh.ensure_started()
    assert not draft.exists()


def test_replaced_libraries_turn_into_a_restart(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = postmaster(server)
    real = server._psql
    broken = 'ERROR:  could not load library "plpgsql.so": undefined symbol: replaced'

    def until_restarted(sql: str) -> subprocess.CompletedProcess[str]:
        if server._postmaster() == before:
            return subprocess.CompletedProcess([], 3, "", broken)
        return real(sql)

    monkeypatch.setattr(server, "_psql", until_restarted)
    server.ensure_started()
    assert postmaster(server) != before


def test_libraries_that_never_fit_are_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = subprocess.CompletedProcess([], 3, "", 'could not load library "plpgsql.so"')
    monkeypatch.setattr(server, "_psql", lambda sql: broken)
    with pytest.raises(EmbeddedError, match="reinstall it"):
        server.ensure_started()


def test_other_settings_restart_the_server(bin_dir: Path, server: Server) -> None:
    assert ask(server, "show wal_level") == "replica"
    logical = Server(bin_dir, server.data_dir, settings={**FAST, "wal_level": "logical"})
    logical.ensure_started()
    assert ask(logical, "show wal_level") == "logical"
    before = postmaster(logical)
    logical.ensure_started()
    assert postmaster(logical) == before


def test_a_setting_that_postgres_refuses_is_shown(bin_dir: Path, place: Path) -> None:
    with pytest.raises(EmbeddedError, match=r'does not start:\n(.*\n)*.*"no_such_setting"'):
        Server(bin_dir, place / "pg", settings={"no_such_setting": "1"}).ensure_started()


def test_a_long_folder_has_its_socket_elsewhere(bin_dir: Path, place: Path) -> None:
    server = Server(bin_dir, place / ("x" * 90) / "pg", settings=FAST, database="rendio")
    server.ensure_started()
    assert ask(server, "select 1") == 1
    assert server.socket_dir.parent == Path("/tmp")
    server.remove()
    assert not server.socket_dir.exists()


def test_a_socket_folder_laid_out_by_another_is_refused(server: Server) -> None:
    server.stop()
    server.socket_dir.chmod(0o777)
    with pytest.raises(EmbeddedError, match="not a private folder"):
        server.ensure_started()
    server.socket_dir.rmdir()
    server.socket_dir.symlink_to("/tmp")
    with pytest.raises(EmbeddedError, match="not a private folder"):
        server.ensure_started()
    server.socket_dir.unlink()


def test_tcp_only_with_a_password(bin_dir: Path, place: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(bin_dir, place / "pg", settings=FAST, tcp_port=port, database="rendio")
    server.ensure_started()
    with psycopg.connect(server.url()) as conn:
        conn.execute("create role app login password 'right'")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.tcp_url("wrong", user="app"))
    with psycopg.connect(server.tcp_url("right", user="app")) as conn:
        assert conn.execute("select session_user::text").fetchone() == ("app",)


# --- foreign things


def test_a_folder_of_somebody_else_is_not_touched(fresh: Server) -> None:
    fresh.data_dir.mkdir()
    (fresh.data_dir / "letters.txt").write_text("dear")
    if os.geteuid() == 0:
        os.chown(fresh.data_dir, pwd.getpwnam("nobody").pw_uid, -1)
    for action in (fresh.ensure_started, fresh.stop, fresh.remove):
        with pytest.raises(EmbeddedError, match="did not make and will not touch"):
            action()
    assert [p.name for p in fresh.data_dir.iterdir()] == ["letters.txt"]


def test_data_of_another_user_are_refused(fresh: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh.data_dir.mkdir()
    monkeypatch.setattr(embedded.os, "geteuid", lambda: fresh.data_dir.stat().st_uid + 1)
    with pytest.raises(EmbeddedError, match=r"belongs to uid \d+, .* RENDIO_HOME"):
        fresh.status()


def test_data_of_another_major_version_are_refused(server: Server) -> None:
    server.stop()
    (server.data_dir / "PG_VERSION").write_text("14\n")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 14, .* RENDIO_PG_BIN"):
        server.ensure_started()
    (server.data_dir / "PG_VERSION").write_text(f"{server.major}\n")


@as_root
def test_a_folder_the_server_cannot_enter_is_named(bin_dir: Path, place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match=f"cannot enter {closed}: set RENDIO_HOME"):
        Server(bin_dir, closed / "pg").ensure_started()
    assert [p.name for p in closed.iterdir()] == ["pg.lock"]


@as_root
def test_binaries_below_a_closed_folder_are_copied(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a virtual environment in root's home, by an umask that hides files from others."""
    monkeypatch.setenv("RENDIO_HOME", str(place))
    monkeypatch.setattr(embedded, "_can_execute", lambda program, user: False)
    old = os.umask(0o077)
    try:
        copied = embedded.carrier_binaries(18)
    finally:
        os.umask(old)
    assert copied.is_relative_to(place)
    assert embedded.carrier_binaries(18) == copied
    server = Server(copied, place / "copied", settings=FAST, database="rendio").ensure_started()
    assert str(ask(server, "show server_version")).startswith("18")
    server.remove()


def test_a_server_whose_process_is_not_to_be_seen_keeps_its_data(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a container and its host share the folder."""
    monkeypatch.setattr(embedded, "_works_in", lambda pid, folder: False)
    for action in (server.stop, server.remove):
        with pytest.raises(EmbeddedError, match="cannot be seen from here"):
            action()
    assert ask(server, "select 1") == 1


# --- stopping and removing


def test_stop_and_remove(fresh: Server, place: Path) -> None:
    assert fresh.status().state == "absent"
    assert not fresh.stop()
    fresh.ensure_started()
    assert fresh.stop()
    assert not fresh.stop()
    assert fresh.status().state == "stopped"
    fresh.ensure_started()
    with psycopg.connect(fresh.url()) as conn:  # an open connection stops nobody
        assert fresh.remove()
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    assert not fresh.remove()
    assert list(place.iterdir()) == []


def call(
    home: Path, bin_dir: Path, *arguments: str, user: str | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command ``rendio`` with its own home, as another user when asked."""
    environment = {"PATH": os.environ["PATH"], "RENDIO_HOME": str(home), "HOME": "/nonexistent"}
    environment |= {"RENDIO_PG_BIN": str(bin_dir), "PYTHONPATH": os.pathsep.join(sys.path[1:])}
    return subprocess.run(
        [_python(user), "-c", "from rendio.cli import main; main(prog_name='rendio')", *arguments],
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        user=user,
        group=pwd.getpwnam(user).pw_gid if user else None,
        extra_groups=[] if user else None,
        cwd="/",
    )


def _python(user: str | None) -> str:
    """Return this interpreter, or the system's where a user cannot enter this one's folder."""
    if not user:
        return sys.executable
    needs = "import sys, click, rendio.embedded; sys.exit(sys.version_info < (3, 11))"
    for python in (sys.executable, "/usr/bin/python3"):
        environment = ["env", f"PYTHONPATH={os.pathsep.join(sys.path[1:])}"]
        with suppress(EmbeddedError):
            if (
                embedded.run([*environment, python, "-c", needs], pwd.getpwnam(user)).returncode
                == 0
            ):
                return python
    pytest.skip(f"user {user} can run no Python 3.11 with these sources")


def test_the_command_line(place: Path, bin_dir: Path) -> None:
    told = call(place, bin_dir, "psql", "-XAtc", "select current_database()")
    assert (told.stdout, told.returncode) == ("rendio\n", 0), told.stderr
    status = json.loads(call(place, bin_dir, "embedded", "status", "--json").stdout)
    assert status["state"] == "running"
    assert status["bytes"] > 10_000_000
    with psycopg.connect(status["url"]) as conn:
        assert conn.execute("show data_directory").fetchone() == (status["data_dir"],)
    named = call(place, bin_dir, "psql", "--url", status["url"], "-XAtc", "show wal_level")
    assert named.stdout == "logical\n"
    assert "Stopped" in call(place, bin_dir, "embedded", "stop").stdout
    assert "rendio psql" in call(place, bin_dir, "embedded", "status").stdout
    refused = call(place, bin_dir, "embedded", "remove", stdin="n\n")
    assert refused.returncode == 1
    assert Path(status["data_dir"]).exists()
    assert "Removed" in call(place, bin_dir, "embedded", "remove", "--yes").stdout
    assert "Nothing to remove" in call(place, bin_dir, "embedded", "remove").stdout
    assert list(place.iterdir()) == []


def test_an_error_is_one_line_without_traceback(place: Path) -> None:
    told = call(place, place, "embedded", "status")
    assert told.returncode == 1
    assert told.stderr.startswith("Error: RENDIO_PG_BIN=")
    assert told.stderr.count("\n") == 1


@as_root
def test_a_user_without_rights_has_one_too(place: Path, bin_dir: Path) -> None:
    place.chmod(0o777)
    own = place / "own"
    told = call(own, bin_dir, "psql", "-XAtc", "select session_user", user="nobody")
    assert (told.stdout, told.returncode) == ("postgres\n", 0), told.stderr
    assert own.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert own.stat().st_mode & 0o777 == 0o700
    # root uses what it finds as its owner would
    assert "running" in call(own, bin_dir, "embedded", "status").stdout
    assert "Removed" in call(own, bin_dir, "embedded", "remove", "--yes", user="nobody").stdout


@as_root
def test_a_home_that_cannot_be_made_is_said(place: Path, bin_dir: Path) -> None:
    told = call(place / "own", bin_dir, "psql", user="nobody")
    assert told.returncode == 1
    assert "Permission denied" in told.stderr
    assert "RENDIO_HOME" in told.stderr
