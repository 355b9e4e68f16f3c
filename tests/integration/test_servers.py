"""The test fixtures themselves: what every other test stands on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import servers
from servers import Cluster

pytestmark = pytest.mark.once


def test_empty_databases_are_apart(
    server: Cluster, empty_db: str, connect: Callable[..., Any]
) -> None:
    connect(empty_db).execute("create table mine (id int)")
    with server.admin() as other:
        assert other.execute("select to_regclass('public.mine')").fetchone() == (None,)


def test_a_copy_keeps_privileges_and_settings_of_its_template(server: Cluster) -> None:
    with server.admin() as conn:
        conn.execute("drop role if exists servers_test")
        conn.execute("create role servers_test")
    server.create("servers_source")
    try:
        with server.admin() as conn:
            conn.execute("revoke temp on database servers_source from public")
            conn.execute("grant create on database servers_source to servers_test")
            conn.execute("alter database servers_source set rendio.a = 'it''s, b=c'")
            conn.execute("alter role servers_test in database servers_source set work_mem = '1MB'")
        server.create("servers_copy", "servers_source")
        with server.admin("servers_copy") as conn:
            row = conn.execute(
                """
                select has_database_privilege('servers_test', current_database(), 'create'),
                    has_database_privilege('servers_test', current_database(), 'temp'),
                    has_database_privilege('servers_test', current_database(), 'connect'),
                    current_setting('rendio.a'),
                    (select array_agg(setconfig::text) from pg_db_role_setting
                        where setrole = 'servers_test'::regrole)
                """
            ).fetchone()
        assert row == (True, False, True, "it's, b=c", ["{work_mem=1MB}"] * 2)
    finally:
        server.drop("servers_copy")
        server.drop("servers_source")
        with server.admin() as conn:
            conn.execute("drop role servers_test")


def test_pooled_connections_are_shared_between_transactions(
    empty_db: str, pooled_url: Callable[[str], str]
) -> None:
    with (
        psycopg.connect(pooled_url(empty_db), prepare_threshold=None) as one,
        psycopg.connect(pooled_url(empty_db), prepare_threshold=None) as two,
    ):
        pids = set()
        for connection in (one, two, one, two):
            pids.add(connection.execute("select pg_backend_pid()").fetchone())
            connection.commit()
        assert len(pids) == 1


def test_the_dead_leave_no_server(tmp_path: Path) -> None:
    """A test process that is killed takes its cluster with it."""
    code = (
        "import servers, time, sys\n"
        "kind = next(iter(servers.installed_bin_dirs().values()))\n"
        "with servers.private_cluster(kind) as cluster:\n"
        "    print(cluster.superuser_url, flush=True)\n"
        "    time.sleep(600)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(servers.__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout
    url = child.stdout.readline().strip()
    with psycopg.connect(url) as conn:
        (data_dir,) = conn.execute("select current_setting('data_directory')").fetchone() or ("",)
        child.send_signal(signal.SIGKILL)
        child.wait()
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select pg_sleep(60)")
    for _ in range(200):
        if not Path(data_dir).parent.exists():
            break
        os.sched_yield()
        subprocess.run(["sleep", "0.05"], check=True)
    assert not Path(data_dir).parent.exists()


@pytest.mark.parametrize(
    ("fsync", "room", "in_memory"), [("off", 0, True), ("off", 2**62, False), ("on", 0, False)]
)
def test_what_need_not_survive_is_in_memory_where_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: str, room: int, in_memory: bool
) -> None:
    monkeypatch.setattr(servers, "MEMORY", str(tmp_path))
    monkeypatch.setattr(servers, "ROOM", room)
    monkeypatch.setattr(servers, "start_in", lambda folder, *_: folder)
    with servers.private_cluster(Path("/nowhere"), settings={"fsync": fsync}) as folder:
        assert folder.parent == (tmp_path if in_memory else Path("/tmp"))


def test_container_without_an_engine_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RENDIO_TEST_URL", raising=False)
    monkeypatch.setenv("RENDIO_TEST_SERVER", "container")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with pytest.raises(servers.NoServer, match="no Docker engine answers"):
        servers.Run.begin()


def test_unknown_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RENDIO_TEST_URL", raising=False)
    monkeypatch.setenv("RENDIO_TEST_SERVER", "oracle")
    with pytest.raises(servers.NoServer, match="one of debian, embedded"):
        servers.chosen_kind()
