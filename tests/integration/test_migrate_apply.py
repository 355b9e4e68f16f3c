"""What an apply does, and does not do again."""

from typing import Any

import psycopg
import pytest
from migrate_trees import (
    Release,
    as_owner,
    catalogue,
    error_of,
    ledger,
    query,
    row_of,
    steps,
)
from profiles import Profile
from psycopg.conninfo import conninfo_to_dict
from rendio import migrate


def test_an_empty_database_gets_everything_in_order(release: Release, empty_db: str) -> None:
    result = release.apply(empty_db)
    assert steps(result) == [
        "sql/0001_foundation.sql",
        "sql/0002_things.sql",
        "sql/0003_things_name_idx.sql",
        "functions (3 files)",
        "policies/things.sql",
        "cron/count-things.sql",
    ]
    rows = ledger(empty_db)
    assert sorted(rows) == release.paths()
    assert rows["functions/core/count_things.sql"][2] == ["function public.count_things(integer)"]
    assert rows["policies/things.sql"][2] == ["policy things_select on public.things"]
    assert rows["sql/0003_things_name_idx.sql"][1:3] == [
        "applied",
        ["index public.things_name_idx"],
    ]
    assert "table public.things" in rows["sql/0002_things.sql"][2]


def test_a_second_apply_has_nothing_to_do(release: Release, applied: str) -> None:
    before = ledger(applied), catalogue(applied)
    assert not release.apply(applied).changed
    assert (ledger(applied), catalogue(applied)) == before


def test_the_release_itself_applies_twice(empty_db: str) -> None:
    assert migrate.apply(empty_db).changed
    assert not migrate.apply(empty_db).changed
    assert migrate.drift(empty_db) == []


def test_everything_is_owned_by_the_owner(applied: str) -> None:
    owners = {text for (_, aspect), text in catalogue(applied).items() if aspect == "owner"}
    tables = query(
        applied,
        "select tableowner::text from pg_tables where schemaname in ('public', 'rendio')",
    )
    assert {owner for (owner,) in tables} == {"rendio_owner"}
    assert "rendio_owner" in owners


def test_line_ends_do_not_count(release: Release, applied: str) -> None:
    for path in release.paths():
        target = release.root / path
        target.write_bytes(target.read_bytes().replace(b"\n", b"\r\n"))
    assert not release.apply(applied).changed


# --- versioned files ------------------------------------------------------------------------------


def test_an_edited_file_is_refused_by_name(release: Release, applied: str) -> None:
    release.replace("sql/0002_things.sql", "'thing'", "'another'")
    error = error_of(lambda: release.apply(applied))
    assert error.exit_code == 6
    assert "sql/0002_things.sql was edited" in str(error)
    assert "sql/0004_" in str(error)
    assert error_of(lambda: migrate.plan(applied, release.root)).exit_code == 6


def test_a_file_that_is_gone_is_refused_by_name(release: Release, applied: str) -> None:
    release.remove("sql/0003_things_name_idx.sql")
    error = error_of(lambda: release.apply(applied))
    assert error.exit_code == 6
    assert "sql/0003_things_name_idx.sql was applied and is gone" in str(error)


def test_a_file_that_comes_late_is_refused_by_name(release: Release, applied: str) -> None:
    release.write("sql/0005_later.sql", "create table public.later (id int primary key);")
    release.apply(applied)
    release.write("sql/0004_late.sql", "create table public.late (id int primary key);")
    error = error_of(lambda: release.apply(applied))
    assert error.exit_code == 6
    assert "sql/0004_late.sql comes before sql/0005_later.sql" in str(error)
    assert "0006" in str(error)


def test_a_failing_file_leaves_nothing_and_names_its_line(release: Release, applied: str) -> None:
    release.write(
        "sql/0004_more.sql",
        "create table public.more (id int primary key);\n\ninsert into public.more\nselect nope;\n",
    )
    before = ledger(applied), catalogue(applied)
    error = error_of(lambda: release.apply(applied))
    assert error.exit_code == 1
    assert str(error).startswith('sql/0004_more.sql:4: column "nope" does not exist (42703)')
    assert (ledger(applied), catalogue(applied)) == before


def test_a_later_file_may_replace_what_an_earlier_one_made(release: Release, applied: str) -> None:
    release.write(
        "sql/0004_things_again.sql",
        "drop table public.things cascade;\ncreate table public.things (id int primary key);\n"
        "alter table public.things add column size int;\n"
        "alter table public.things enable row level security;",
    )
    release.replace("functions/core/views/big_things.sql", "t.size", "(t.size)")
    assert "policies/things.sql" in steps(release.apply(applied))
    assert migrate.drift(applied, release.root) == []
    assert not release.apply(applied).changed


# --- indexes outside of transactions --------------------------------------------------------------


def _make_invalid(url: str) -> None:
    """Leave what a build leaves that fails half way: a unique index over equal values."""
    as_owner(url, "drop index public.things_name_idx")
    as_owner(url, "insert into public.things (name) values ('a'), ('a')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        as_owner(url, "create unique index concurrently things_name_idx on public.things (name)")
    as_owner(url, "update rendio.migrations set state = 'running' where path ~ 'things_name_idx'")


def test_an_invalid_index_is_dropped_and_built_again(release: Release, applied: str) -> None:
    _make_invalid(applied)
    state = "select indisvalid, indisunique from pg_index where indexrelid = %s::regclass"
    assert query(applied, state, ["public.things_name_idx"]) == [(False, True)]
    assert migrate.status(applied, release.root).pending
    assert steps(release.apply(applied)) == ["sql/0003_things_name_idx.sql"]
    assert query(applied, state, ["public.things_name_idx"]) == [(True, False)]
    assert row_of(applied, "sql/0003_things_name_idx.sql")[1] == "applied"
    assert migrate.drift(applied, release.root) == []


def test_a_build_that_fails_is_told_and_taken_up_again(release: Release, applied: str) -> None:
    as_owner(applied, "insert into public.things (name) values ('a'), ('a')")
    path = "sql/0004_unique.sql"
    release.write(
        path,
        "--! no-transaction\n"
        "create unique index concurrently things_name_key on public.things (name);\n",
    )
    error = error_of(lambda: release.apply(applied))
    assert f"{path}:2: could not create unique index" in str(error)
    assert row_of(applied, path)[1] == "running"
    release.replace(path, "things_name_key on", "things_id_name_key on")
    release.replace(path, "(name)", "(id, name)")
    release.apply(applied)
    indexes = query(applied, "select relname::text from pg_class where relname ~ '^things_.*key$'")
    assert ("things_id_name_key",) in indexes
    assert ("things_name_key",) not in indexes


def test_a_file_rewritten_after_an_interruption_is_built_anew(
    release: Release, applied: str
) -> None:
    """The index was complete and only its row was missing; now the file wants another one."""
    path = "sql/0003_things_name_idx.sql"
    as_owner(applied, f"update rendio.migrations set state = 'running' where path = '{path}'")
    release.replace(path, "(name)", "(name, size)")
    release.apply(applied)
    definition = query(applied, "select pg_get_indexdef('public.things_name_idx'::regclass)")
    assert definition[0][0].endswith("(name, size)")


# --- functions ------------------------------------------------------------------------------------

COUNT = "functions/core/count_things.sql"


def test_only_a_changed_function_is_applied_again(release: Release, applied: str) -> None:
    before = ledger(applied)
    release.replace(COUNT, "count(*)", "count(id)")
    assert steps(release.apply(applied)) == ["functions (1 files)"]
    after = ledger(applied)
    assert {path for path in after if after[path] != before[path]} == {COUNT}


def test_a_dropped_function_is_made_again(release: Release, applied: str) -> None:
    before = catalogue(applied)
    as_owner(applied, "drop function public.count_things(integer)")
    assert "missing" in str(migrate.plan(applied, release.root).lines())
    release.apply(applied)
    assert catalogue(applied) == before


def test_a_broken_body_changes_nothing_and_names_its_line(release: Release, applied: str) -> None:
    before = ledger(applied), catalogue(applied)
    release.replace(COUNT, "return (select", "retrun (select")
    release.replace("functions/core/internal/double.sql", "p_n * 2", "p_n + p_n")
    error = error_of(lambda: release.apply(applied))
    assert str(error).startswith(f"{COUNT}:8: syntax error at or near")
    assert (ledger(applied), catalogue(applied)) == before


def test_a_sql_body_is_checked_with_all_functions_there(release: Release, applied: str) -> None:
    form = "create or replace function public.{0}()\nreturns integer\nlanguage sql\nas $$\n{1}\n$$;"
    release.write("functions/core/first.sql", form.format("first", "    select public.second();"))
    release.write("functions/core/second.sql", form.format("second", "    select 1;"))
    release.apply(applied)
    release.write("functions/core/first.sql", form.format("first", "    select public.third();"))
    error = error_of(lambda: release.apply(applied))
    assert str(error).startswith("functions/core/first.sql:5: function public.third() does not")


def test_an_overload_that_no_file_writes_prints_the_line_to_add(
    release: Release, applied: str
) -> None:
    before = ledger(applied)
    release.replace(COUNT, "p_factor integer default rendio.double(1)", "p_factor bigint")
    release.replace(COUNT, "count_things(integer)", "count_things(bigint)")
    error = error_of(lambda: release.apply(applied))
    assert "drop function public.count_things(integer);" in str(error)
    assert ledger(applied) == before
    release.write("sql/0004_drop.sql", "drop function public.count_things(integer);")
    release.apply(applied)
    found = query(
        applied, "select oid::regprocedure::text from pg_proc where proname ~ '^count_th'"
    )
    assert found == [("count_things(bigint)",)]


def test_a_function_whose_file_is_gone_must_be_dropped(release: Release, applied: str) -> None:
    release.remove(COUNT)
    error = error_of(lambda: release.apply(applied))
    assert "drop function public.count_things(integer);" in str(error)
    release.write("sql/0004_drop.sql", "drop function public.count_things(integer);")
    release.apply(applied)
    assert COUNT not in ledger(applied)
    assert not release.apply(applied).changed


def test_files_may_move_to_another_module(release: Release, applied: str) -> None:
    text = (release.root / COUNT).read_text()
    release.remove(COUNT)
    release.write("functions/other/count_things.sql", text)
    policy = (release.root / "policies/things.sql").read_text()
    release.remove("policies/things.sql")
    release.write("policies/others.sql", policy)
    release.apply(applied)
    assert COUNT not in ledger(applied)
    assert not release.apply(applied).changed
    assert migrate.drift(applied, release.root) == []


def test_a_file_that_writes_more_than_its_path_says_is_refused(
    release: Release, applied: str
) -> None:
    before = catalogue(applied)
    with (release.root / COUNT).open("a") as file:
        file.write("grant execute on function rendio.double(integer) to service_role;\n")
    error = error_of(lambda: release.apply(applied))
    assert "must write function public.count_things and nothing else" in str(error)
    assert "rendio.double(integer)" in str(error)
    assert catalogue(applied) == before


# --- policies -------------------------------------------------------------------------------------


def _policy(url: str) -> Any:
    return query(url, "select oid, xmin::text from pg_policy where polname = 'things_select'")


def test_a_policy_is_rewritten_only_when_its_file_changed(release: Release, applied: str) -> None:
    before = _policy(applied)
    release.replace(COUNT, "count(*)", "count(id)")
    release.apply(applied)
    assert _policy(applied) == before
    release.replace("policies/things.sql", "size < 100", "size < 50")
    assert steps(release.apply(applied)) == ["policies/things.sql"]
    assert _policy(applied) != before


def test_a_dropped_policy_is_made_again(release: Release, applied: str) -> None:
    before = catalogue(applied)
    as_owner(applied, "drop policy things_select on public.things")
    assert steps(release.apply(applied)) == ["policies/things.sql"]
    assert catalogue(applied) == before


def test_a_policy_that_no_file_writes_prints_the_line_to_add(
    release: Release, applied: str
) -> None:
    as_owner(applied, "create policy open_door on public.things to public using (true)")
    error = error_of(lambda: release.apply(applied))
    assert "drop policy open_door on public.things;" in str(error)
    release.write("sql/0004_drop.sql", "drop policy open_door on public.things;")
    release.apply(applied)
    assert migrate.drift(applied, release.root) == []


# --- files run as the caller ----------------------------------------------------------------------


def test_a_file_without_the_right_is_skipped_and_tried_again(
    release: Release, deployer_db: str, server: Any
) -> None:
    """The login has no right on somebody else's table until it is given the table."""
    path = "sql/0004_public.sql"
    release.write(path, "--! as caller\ncomment on table others.notes is 'ours too';\n")
    login = query(deployer_db, "select quote_ident(session_user)")[0][0]
    with server.admin(conninfo_to_dict(deployer_db)["dbname"]) as admin:
        admin.execute("create schema others")
        admin.execute("create table others.notes (id int)")
        admin.execute(f"grant usage, create on schema others to {login}")
        result = release.apply(deployer_db)
        assert row_of(deployer_db, path)[1] == "skipped"
        assert "comment on table others.notes is 'ours too';" in result.notices[0]
        assert "update rendio.migrations set state = 'applied'" in result.notices[0]
        assert migrate.status(deployer_db, release.root).pending
        assert steps(release.apply(deployer_db)) == [path]
        admin.execute(f"alter table others.notes owner to {login}")
    release.apply(deployer_db)
    assert row_of(deployer_db, path)[1] == "applied"
    assert not migrate.status(deployer_db, release.root).pending


def test_a_login_without_superuser_applies_the_release(deployer_db: str, profile: Profile) -> None:
    if profile.name.startswith("supabase"):
        pytest.skip("here the publication belongs to postgres, which is no superuser either")
    assert migrate.apply(deployer_db).changed
    assert not migrate.apply(deployer_db).changed
    assert migrate.drift(deployer_db) == []
