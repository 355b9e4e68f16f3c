"""The plan tells what an apply would do, and as a script does the same."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from migrate_trees import Release, as_owner, catalogue, error_of, ledger, query
from rendio import migrate, sqlfiles
from servers import Cluster

pytestmark = pytest.mark.once

Psql = Callable[[str, str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def psql(server: Cluster, tmp_path: Path) -> Psql:
    def run(url: str, script: str) -> "subprocess.CompletedProcess[str]":
        file = tmp_path / "plan.sql"
        file.write_text(script)
        command = [str(server.psql_path), "-X", "-v", "ON_ERROR_STOP=1", "-f", str(file), url]
        return subprocess.run(command, capture_output=True, text=True)

    return run


def run_plan(psql: Psql, url: str, root: Path) -> None:
    done = psql(url, migrate.plan(url, root).sql())
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@pytest.mark.parametrize("which", ["small", "whole"])
def test_the_script_does_what_apply_does(
    release: Release, psql: Psql, new_database: Callable[[], str], which: str
) -> None:
    root = release.root if which == "small" else sqlfiles.root()
    scripted, applied = new_database(), new_database()
    run_plan(psql, scripted, root)
    migrate.apply(applied, root)
    assert catalogue(scripted) == catalogue(applied)
    assert ledger(scripted) == ledger(applied)
    assert not migrate.apply(scripted, root).changed
    assert migrate.drift(scripted, root) == []


def test_the_script_of_a_later_release_does_what_apply_does(
    release: Release, psql: Psql, new_database: Callable[[], str]
) -> None:
    """Changed function and policy, an overload dropped, a file gone, an interrupted index."""
    scripted, applied = new_database(), new_database()
    for url in (scripted, applied):
        release.write("functions/core/old.sql", _function("old"))
        release.write("functions/core/moved.sql", _function("moved"))
        release.apply(url)
        release.remove("functions/core/old.sql")
        release.remove("functions/core/moved.sql")
        as_owner(
            url, "update rendio.migrations set state = 'running' where path ~ 'things_name_idx'"
        )
    release.write("sql/0004_drop.sql", "drop function public.old();\n")
    release.write("functions/core/new.sql", _function("new"))
    release.write("functions/other/moved.sql", _function("moved"))
    release.write("sql/0005_grant.sql", "grant insert on public.things to authenticated;\n")
    release.replace("policies/things.sql", "size < 100", "size < 50")
    release.replace("functions/core/count_things.sql", "count(*)", "count(id)")
    run_plan(psql, scripted, release.root)
    release.apply(applied)
    assert catalogue(scripted) == catalogue(applied)
    assert ledger(scripted) == ledger(applied)
    assert not release.apply(scripted).changed
    assert migrate.drift(scripted, release.root) == migrate.drift(applied, release.root) == []


def _function(name: str) -> str:
    return (
        f"create or replace function public.{name}()\nreturns integer\nlanguage sql\nas $$\n"
        f"    select 1;\n$$;\n"
        f"revoke execute on function public.{name}() from public, anon, authenticated;\n"
    )


def test_the_script_stops_at_a_broken_body(release: Release, psql: Psql, applied: str) -> None:
    before = ledger(applied), catalogue(applied)
    release.replace("functions/core/count_things.sql", "return (select", "retrun (select")
    done = psql(applied, migrate.plan(applied, release.root).sql())
    assert done.returncode == 3
    assert "syntax error" in done.stderr
    assert (ledger(applied), catalogue(applied)) == before


def test_nothing_to_do_is_a_script_that_does_nothing(
    release: Release, psql: Psql, applied: str
) -> None:
    before = ledger(applied)
    plan = migrate.plan(applied, release.root)
    assert plan.lines() == ["Nothing to do."]
    done = psql(applied, plan.sql())
    assert (done.returncode, done.stdout) == (0, "")
    assert ledger(applied) == before


def test_a_plan_changes_nothing_and_names_every_file(release: Release, empty_db: str) -> None:
    plan = migrate.plan(empty_db, release.root)
    assert query(empty_db, "select to_regnamespace('rendio')") == [(None,)]
    assert sorted(path for step in plan.steps for path in step.why) == release.paths()
    assert "cluster-wide" in plan.notices[0]
    assert "rendio_owner" in plan.notices[0]


def test_a_plan_names_the_locks_that_traffic_feels(release: Release, applied: str) -> None:
    release.write(
        "sql/0004_more.sql",
        "create table public.parts (id int primary key, thing bigint references public.things);\n"
        "create index parts_thing_idx on public.parts (thing);\n"
        "alter table public.things add column weight int;\n",
    )
    release.write(
        "sql/0005_size_idx.sql",
        "--! no-transaction\ncreate index concurrently things_size_idx on public.things (size);\n",
    )
    release.replace("policies/things.sql", "size < 100", "size < 50")
    steps = {step["files"][0]["path"]: step for step in _plan_json(applied, release)["steps"]}
    assert steps["sql/0004_more.sql"]["locks"] == [
        {"mode": "access exclusive", "table": "public.things"}
    ]
    assert steps["sql/0005_size_idx.sql"]["locks"] == [
        {"mode": "share update exclusive", "table": "public.things"}
    ]
    assert steps["policies/things.sql"]["locks"] == [
        {"mode": "access exclusive", "table": "public.things"}
    ]


def _plan_json(url: str, release: Release) -> dict[str, Any]:
    return migrate.plan(url, release.root).as_json()


def test_a_plan_refuses_what_apply_refuses(release: Release, empty_db: str) -> None:
    query(empty_db, "create table public.things (id int)")
    errors = [error_of(lambda: _plan_json(empty_db, release))]
    errors.append(error_of(lambda: release.apply(empty_db)))
    assert [error.exit_code for error in errors] == [7, 7]
    assert str(errors[0]) == str(errors[1])
