"""How a file is run: what ends it early, and that it leaves nothing open."""

from pathlib import Path

import pytest
from endings import END, ENDINGS, PLAN_1
from pgtap_runner import limit, run_file
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
