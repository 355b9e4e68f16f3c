"""Several applies at once, and traffic in the way."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import servers
from migrate_trees import Release, catalogue, error_of, ledger, query, steps
from rendio import migrate
from servers import Cluster

pytestmark = [pytest.mark.once, pytest.mark.thorough]

Connect = Callable[..., psycopg.Connection[Any]]


def test_two_at_once_both_succeed_one_after_the_other(release: Release, empty_db: str) -> None:
    """The second waits while the first is inside of a step, index build included."""
    told: list[str] = []
    inside, waiting = threading.Event(), threading.Event()

    def let_the_other_wait(event: migrate.StepEvent) -> None:
        inside.set()
        assert waiting.wait(60)

    def tell(line: str) -> None:
        told.append(line)
        waiting.set()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(release.apply, empty_db, on_step=let_the_other_wait)
        assert inside.wait(60)
        second = pool.submit(release.apply, empty_db, lock_wait=60, echo=tell)
        done = [first.result(90), second.result(90)]
    assert [result.changed for result in done] == [True, False]
    assert told[0].startswith("waiting up to 60 s for another apply: rendio apply ")
    assert migrate.drift(empty_db, release.root) == []


def test_databases_of_one_server_at_once_meet_in_the_roles(
    release: Release, server: Cluster
) -> None:
    """On a server without our roles each apply would create them; the lock is per database."""
    with servers.private_cluster(Path(server.psql_path).parent, superuser="postgres") as cluster:
        urls = [cluster.create(f"app{n}") for n in range(4)]
        with ThreadPoolExecutor(len(urls)) as pool:
            results = list(pool.map(release.apply, urls))
        assert all(result.changed for result in results)
        facts = [catalogue(url) for url in urls]
    assert all(other == facts[0] for other in facts)


def test_a_lock_not_obtained_names_its_holder(release: Release, empty_db: str) -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold(event: migrate.StepEvent) -> None:
        inside.set()
        assert leave.wait(60)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(release.apply, empty_db, on_step=hold)
        assert inside.wait(60)
        try:
            error = error_of(lambda: release.apply(empty_db, lock_wait=0))
        finally:
            leave.set()
        running.result(90)
    assert error.exit_code == 5
    assert "rendio apply 0." in str(error)
    assert ", pid " in str(error)
    assert ", since 20" in str(error)


def test_a_busy_table_is_waited_for_in_short_attempts(
    release: Release, applied: str, connect: Connect
) -> None:
    """The reader goes on its way during the retries; then the step is had."""
    reader = connect(applied, autocommit=False)
    reader.execute("select from public.things")
    release.replace("policies/things.sql", "size < 100", "size < 50")
    attempts: list[str] = []

    def count(event: migrate.StepEvent) -> None:
        if event.when == "before" and event.kind == "policy":
            attempts.append(event.path)
            if len(attempts) == 3:
                reader.rollback()

    release.apply(applied, lock_timeout=0.02, on_step=count)
    assert len(attempts) >= 3


def test_a_table_that_stays_busy_is_named_with_who_holds_it(
    release: Release, applied: str, connect: Connect
) -> None:
    reader = connect(applied, autocommit=False, application_name="nightly report")
    reader.execute("set local role rendio_owner")
    reader.execute("select from public.things")
    release.replace("policies/things.sql", "size < 100", "size < 50")
    before = ledger(applied)
    error = error_of(lambda: release.apply(applied, lock_timeout=0.02))
    assert error.exit_code == 1
    assert "canceling statement due to lock timeout (55P03)" in str(error)
    assert f"pid {reader.info.backend_pid}, nightly report" in str(error)
    assert ledger(applied) == before


def test_a_lost_lock_stops_before_the_next_step(
    release: Release, empty_db: str, connect: Connect
) -> None:
    killer = connect(empty_db)

    def kill(event: migrate.StepEvent) -> None:
        if (event.when, event.path) == ("after", "sql/0002_things.sql"):
            killer.execute(
                "select pg_terminate_backend(l.pid) from pg_locks as l where l.locktype ="
                " 'advisory' and l.objid = 26991 and l.granted"
                " and l.database = (select oid from pg_database where datname = current_database())"
            )

    error = error_of(lambda: release.apply(empty_db, on_step=kill))
    assert "The connection that holds the lock was closed" in str(error)
    assert "sql/0003_things_name_idx.sql" not in ledger(empty_db)
    assert "sql/0003_things_name_idx.sql" in steps(release.apply(empty_db))


def test_a_session_cut_off_is_told_without_a_traceback(
    release: Release, empty_db: str, connect: Connect
) -> None:
    killer = connect(empty_db)

    def kill(event: migrate.StepEvent) -> None:
        if (event.when, event.path) == ("after", "sql/0002_things.sql"):
            killer.execute(
                "select pg_terminate_backend(l.pid) from pg_locks as l where l.locktype ="
                " 'advisory' and l.objid = 26992 and l.granted"
                " and l.database = (select oid from pg_database where datname = current_database())"
            )

    error = error_of(lambda: release.apply(empty_db, on_step=kill))
    assert error.exit_code == 1
    release.apply(empty_db)
    assert migrate.drift(empty_db, release.root) == []


def test_settings_of_the_login_do_not_reach_the_files(release: Release, empty_db: str) -> None:
    database = query(empty_db, "select quote_ident(current_database())")[0][0]
    for setting in ("search_path = nowhere", "statement_timeout = '1h'", "datestyle = 'SQL, DMY'"):
        query(empty_db, f"alter database {database} set {setting}")
    release.write(
        "sql/0004_dated.sql",
        "create table public.dated (\n"
        "    at date default '01/02/2026'::date,\n"
        "    check (current_setting('statement_timeout') = '0'),\n"
        "    check (current_setting('search_path') in ('', '\"\"'))\n"
        ");\n"
        "alter table public.dated enable row level security;\n"
        "insert into public.dated values (default);\n",
    )
    release.apply(empty_db)
    default = [text for key, text in catalogue(empty_db).items() if key[1] == "column at"]
    assert "2026-01-02" in default[0]
