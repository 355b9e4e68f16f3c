"""A database that is migrated once a run and copied for each worker."""

import subprocess
import sys

import pytest
from pgtap_runner.session import as_url
from psycopg.conninfo import conninfo_to_dict
from support import rows, run_in_two_workers, run_plugin, wait_until, write

MIGRATION = """
import os
import sys
from pathlib import Path

import psycopg


def apply(url):
    with Path(__file__).with_name("migrated").open("a") as log:
        print(url, file=log)
    with psycopg.connect(url) as connection:
        connection.execute("create table item (id int)")
        connection.execute(f"alter database {connection.info.dbname} set test.here = 1")


if __name__ == "__main__":
    assert os.environ["DATABASE_URL"] == sys.argv[1]
    assert sys.argv[1].startswith("postgresql://")
    assert os.environ["PGDATABASE"] in sys.argv[1]
    apply(sys.argv[1])
"""
COPY_TEST = """
begin; select plan(2); select has_table('public', 'item', 'migrated');
select isnt(current_database(), {0!r}, 'a copy'); select * from finish(); rollback;
"""


@pytest.fixture
def migrated(pytester: pytest.Pytester, database: str) -> pytest.Pytester:
    """A project whose migration is a command, with four test files."""
    name = conninfo_to_dict(database)["dbname"]
    for file in ("one", "two", "three", "four"):
        write(pytester.path / f"t/{file}.sql", COPY_TEST.format(name))
    write(pytester.path / "migrate.py", MIGRATION)
    configure(pytester, database, f"{sys.executable} migrate.py {{url}}")
    return pytester


def configure(project: pytest.Pytester, url: str, migration: str) -> None:
    project.makeini(
        f"[pytest]\npgtap_paths = t\npythonpath = .\npgtap_database_url = {url}\n"
        f"pgtap_migrate = {migration}"
    )


def made_by_us(url: str) -> list[tuple[object, ...]]:
    """Return the template and copies of the runs that have their lock in this database."""
    return rows(
        url,
        "select datname from pg_database where starts_with(shobj_description(oid, 'pg_database'),"
        " format('made by pgtap_runner, locked in %s,', current_database()))",
    )


@pytest.mark.parametrize(
    ("conninfo", "url"),
    [
        ("", "postgresql:///"),
        ("dbname=a", "postgresql:///a"),
        ("host=h user=u dbname=a", "postgresql://u@h/a"),
        ("host=::1 port=5 user=u@x password='p w/'", "postgresql://u%40x:p%20w%2F@[::1]:5/"),
        ("host=/run/pg port=5 dbname=a", "postgresql:///a?host=%2Frun%2Fpg&port=5"),
        (
            "host=a,b port=5,6 sslmode=require",
            "postgresql:///?host=a%2Cb&port=5%2C6&sslmode=require",
        ),
    ],
)
def test_a_connection_string_as_a_url(conninfo: str, url: str) -> None:
    made = as_url(conninfo)
    assert conninfo_to_dict(made) == conninfo_to_dict(conninfo) == conninfo_to_dict(url)
    assert made == url


def test_migrates_by_command_once_and_copies(migrated: pytest.Pytester, database: str) -> None:
    run_in_two_workers(migrated).assert_outcomes(passed=4)
    assert len((migrated.path / "migrated").read_text().splitlines()) == 1
    assert made_by_us(database) == []


def test_migrates_by_function(migrated: pytest.Pytester, database: str) -> None:
    configure(migrated, database, "migrate:apply")
    test = "begin; select plan(1); select is(current_setting('test.here'), '1'); rollback;"
    write(migrated.path / "t/settings.sql", test)
    migrated.runpytest_subprocess("-pno:hypothesispytest").assert_outcomes(passed=5)


@pytest.mark.parametrize(
    ("migration", "says"),
    [
        (f"{sys.executable} -c 'print(123); raise SystemExit(3)'", ["*: exit 3", "123"]),
        ("nosuchprogram", ["nosuchprogram: No such file or directory"]),
    ],
)
def test_a_failing_migration_is_told(
    migration: str, says: list[str], migrated: pytest.Pytester, database: str
) -> None:
    configure(migrated, database, migration)
    done = run_plugin(migrated)
    done.assert_outcomes(errors=4)
    done.stdout.fnmatch_lines(says)
    done.stdout.no_fnmatch_line("*Traceback*")
    assert made_by_us(database) == []


def test_what_a_killed_run_left_is_dropped_by_the_next(
    migrated: pytest.Pytester, database: str
) -> None:
    write(migrated.path / "t/slow.sql", "select plan(1); select pg_sleep(600);")
    killed = subprocess.Popen(
        [sys.executable, "-m", "pytest", "t/slow.sql"],
        cwd=migrated.path,
        stdout=subprocess.DEVNULL,
    )
    asleep = "select from pg_stat_activity where query = 'select pg_sleep(600)' and datname = '{}'"
    wait_until(lambda: any(rows(database, asleep.format(*n)) for n in made_by_us(database)))
    left = made_by_us(database)
    killed.kill()
    killed.wait()
    locks = (
        "select from pg_locks join pg_database d on d.oid = database"
        " where locktype = 'advisory' and datname = current_database()"
    )
    wait_until(lambda: rows(database, locks) == [])
    assert len(left) == 2
    run_plugin(migrated, "t/one.sql").assert_outcomes(passed=1)
    assert made_by_us(database) == []
