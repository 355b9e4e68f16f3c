"""A policy file about a table of somebody else, which a database may have or not."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from migrate_trees import Release, error_of, ledger, query, row_of, steps
from psycopg.conninfo import conninfo_to_dict
from rendio import migrate
from servers import Cluster
from test_migrate_plan import Psql, psql, run_plan

__all__ = ["psql"]  # a fixture

pytestmark = [pytest.mark.once, pytest.mark.shapeless]

PATH = "policies/notes.sql"
POLICY = "policy notes_select on others.notes"
TEXT = """\
--! as caller
--! where others.notes
drop policy if exists notes_select on others.notes;
create policy notes_select on others.notes
for select to authenticated
using (true);
"""
NOTES = "create schema others; create table others.notes (id int)"


@pytest.fixture
def release(release: Release) -> Release:
    release.write(PATH, TEXT)
    return release


def test_it_is_recorded_until_the_table_is_there(release: Release, applied: str) -> None:
    assert migrate.plan(applied, release.root).lines()[:2] == [
        f"{PATH}: new",
        "    only recorded: this database has no others.notes",
    ]
    done = release.apply(applied)
    assert [(step.path, step.outcome) for step in done.steps] == [
        (PATH, "recorded: this database has no others.notes")
    ]
    assert not release.apply(applied).changed
    assert not migrate.status(applied, release.root).pending

    query(applied, NOTES)
    assert migrate.drift(applied, release.root) == []
    assert migrate.plan(applied, release.root).lines()[0] == f"{PATH}: others.notes is there now"
    assert steps(release.apply(applied)) == [PATH]
    assert row_of(applied, PATH)[1:3] == ["applied", [POLICY]]
    assert not release.apply(applied).changed


def test_it_is_watched_and_made_again(release: Release, applied: str) -> None:
    query(applied, NOTES)
    release.apply(applied)
    query(applied, "alter policy notes_select on others.notes using (id > 0)")
    assert [str(one) for one in migrate.drift(applied, release.root)] == [
        f"{POLICY}: definition was changed ({PATH})"
    ]
    query(applied, "drop policy notes_select on others.notes")
    assert [str(one) for one in migrate.drift(applied, release.root)] == [
        f"{POLICY}: is missing ({PATH})"
    ]
    assert steps(release.apply(applied)) == [PATH]
    assert migrate.drift(applied, release.root) == []


def test_it_is_recorded_again_when_the_table_is_gone(release: Release, applied: str) -> None:
    query(applied, NOTES)
    release.apply(applied)
    query(applied, "drop schema others cascade")
    assert migrate.plan(applied, release.root).lines()[0] == f"{PATH}: others.notes is gone"
    assert steps(release.apply(applied)) == [PATH]
    assert row_of(applied, PATH)[1:4] == ["recorded", [], {}]
    assert migrate.drift(applied, release.root) == []


def test_a_fresh_build_without_the_table_is_no_difference(release: Release, applied: str) -> None:
    query(applied, NOTES)
    release.apply(applied)
    assert migrate.verify(applied, release.root) == []


def test_the_script_does_what_apply_does(
    release: Release, psql: Psql, new_database: Callable[[], str]
) -> None:
    """Of a database without the table, test_migrate_plan's whole release is one."""
    scripted, applied = new_database(), new_database()
    for url in (scripted, applied):
        query(url, NOTES)
    # Row security of somebody else's table is not ours to switch, not even on.
    assert "alter table only others.notes" not in migrate.plan(scripted, release.root).sql()
    run_plan(psql, scripted, release.root)
    release.apply(applied)
    assert row_of(applied, PATH)[1] == "applied"
    assert ledger(scripted) == ledger(applied)
    assert not release.apply(scripted).changed


def test_a_policy_of_its_name_that_was_there_first_is_refused(
    release: Release, applied: str
) -> None:
    """Also where the table came after an apply had recorded the file."""
    release.apply(applied)
    query(applied, f"{NOTES}; create policy notes_select on others.notes using (false)")
    error = error_of(lambda: release.apply(applied))
    assert error.exit_code == 7
    assert f"drop {POLICY};" in str(error)


@pytest.fixture
def admin(server: Cluster, deployer_db: str) -> Iterator[psycopg.Connection[Any]]:
    """The superuser, who has made the table in the database of a login that has no right on it."""
    with server.admin(conninfo_to_dict(deployer_db)["dbname"]) as conn:
        conn.execute(NOTES)
        conn.execute("grant usage on schema others to public")
        yield conn


def test_without_the_right_it_is_left_to_an_administrator(
    release: Release, deployer_db: str, admin: psycopg.Connection[Any]
) -> None:
    [notice] = release.apply(deployer_db).notices
    assert notice.startswith(f"{PATH} was skipped: must be owner of")
    assert row_of(deployer_db, PATH)[1] == "skipped"

    statements = notice.split("run:\n", 1)[1]
    made, marked = statements.rsplit("\n", 1)
    admin.execute(made)
    assert steps(release.apply(deployer_db)) == [PATH]  # tried again, and skipped again
    admin.execute(marked)
    assert not release.apply(deployer_db).changed
    assert migrate.drift(deployer_db, release.root) == []

    release.replace(PATH, "using (true)", "using (id > 0)")
    assert len(release.apply(deployer_db).notices) == 1
    login = query(deployer_db, "select quote_ident(session_user)")[0][0]
    admin.execute(f"alter table others.notes owner to {login}")
    release.apply(deployer_db)
    assert row_of(deployer_db, PATH)[1:3] == ["applied", [POLICY]]
    assert migrate.drift(deployer_db, release.root) == []
