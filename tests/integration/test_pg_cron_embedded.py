"""The embedded server's cron jobs run while it does; rendio says who runs them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import servers
from migrate_trees import Release, query
from pg_cron_compat.install import CronError, install
from rendio import migrate
from rendio.embedded import Server
from waiting import until

RUNNERS = "select count(*) from pg_stat_activity where application_name = 'pg_cron_compat'"


@pytest.fixture
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rendio-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.once
def test_a_runner_lives_with_the_server(place: Path) -> None:
    bin_dir = next(iter(servers.installed_bin_dirs().values()))
    server = Server(bin_dir, place / "pg", settings={"fsync": "off"}, database="app", cron=True)
    url = server.ensure_started().url("app")
    try:
        query(url, "select cron.schedule('works', '1 second', 'select 1')")
        done = "select count(*) from cron.job_run_details where status = 'succeeded'"
        until(lambda: query(url, done)[0][0])
        server.ensure_started()
        assert query(url, RUNNERS) == [(1,)]
        (pid,) = [int(p) for p in os.listdir("/proc") if p.isdigit() and _serves(p, place)]

        server.stop()
        until(lambda: not Path(f"/proc/{pid}").exists())
        server.ensure_started()
        before = query(url, done)[0][0]
        until(lambda: query(url, done)[0][0] > before)
    finally:
        server.remove()
    assert list(place.iterdir()) == []
    until(lambda: not [p for p in os.listdir("/proc") if p.isdigit() and _serves(p, place)])


def _serves(pid: str, place: Path) -> bool:
    """Whether a process is a runner for a server in a folder."""
    try:
        told = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
    return "pg_cron_compat" in told and place.name in told


def test_status_says_who_runs_the_jobs(release: Release, empty_db: str) -> None:
    with psycopg.connect(empty_db, autocommit=True) as conn:
        try:
            install(conn)
        except (CronError, psycopg.errors.InsufficientPrivilege) as error:
            pytest.skip(f"no compat layer here: {error}")
    release.apply(empty_db)

    def runs() -> str:
        return migrate.status(empty_db, release.root).jobs[0].runs

    assert runs().endswith("once this runs: pg-cron-compat run --url …")
    assert not release.apply(empty_db).changed
    with psycopg.connect(empty_db) as leader:
        leader.execute("select pg_advisory_lock(cron_compat.lock_key('leader'))")
        assert runs().endswith("by pg-cron-compat")


def test_status_says_what_to_do_about_jobs_that_were_only_recorded(
    release: Release, empty_db: str
) -> None:
    """As on the embedded server right after a demo: the jobs came before what can run them."""
    release.apply(empty_db)
    with psycopg.connect(empty_db, autocommit=True) as conn:
        try:
            install(conn)
        except (CronError, psycopg.errors.InsufficientPrivilege) as error:
            pytest.skip(f"no compat layer here: {error}")

    def runs() -> str:
        return migrate.status(empty_db, release.root).jobs[0].runs

    assert runs() == "nothing in this database runs it: run `rendio apply`"
    release.apply(empty_db)
    assert runs().startswith("scheduled: ")


@pytest.mark.once
def test_a_pooler_is_refused(empty_db: str, pooled_url: Callable[[str], str]) -> None:
    command = [sys.executable, "-m", "pg_cron_compat", "run", "--url", pooled_url(empty_db)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert told.returncode == 1
    assert told.stderr == "Error: this is a connection pooler: give the server's own URL\n"
