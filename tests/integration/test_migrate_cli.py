"""The verbs on the command line: what they print, and the exit codes of the contract."""

import json
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from migrate_trees import as_owner, query
from rendio import __version__
from rendio.cli import main

pytestmark = pytest.mark.once


@pytest.fixture
def rendio() -> Any:
    def run(*arguments: str, **environment: str) -> Result:
        env: dict[str, str | None] = {"DATABASE_URL": None, **environment}
        result = CliRunner().invoke(main, arguments, env=env)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


def test_a_database_from_nothing_to_the_end(rendio: Any, empty_db: str) -> None:
    """The verbs in the order in which a person meets them."""
    assert rendio("status", "--exit-code", "--url", empty_db).exit_code == 3
    assert rendio("status", "--url", empty_db).exit_code == 0
    plan = rendio("plan", "--url", empty_db)
    assert plan.exit_code == 0
    assert "sql/0001_foundation.sql: new" in plan.stdout
    assert "cluster-wide" in plan.stderr
    assert rendio("plan", "--sql", "--url", empty_db).stdout.startswith(f"-- rendio {__version__}")

    first = rendio("apply", DATABASE_URL=empty_db)
    assert first.exit_code == 0, first.output
    assert "sql/0001_foundation.sql" in first.stdout
    assert first.stdout.splitlines()[-1].startswith(f"The database is at rendio {__version__}: ")

    again = rendio("apply", "--url", empty_db)
    assert (again.exit_code, again.stdout) == (
        0,
        f"Nothing to do: the database is at rendio {__version__}.\n",
    )
    assert rendio("status", "--exit-code", "--url", empty_db).exit_code == 0
    assert rendio("plan", "--url", empty_db).stdout == "Nothing to do.\n"
    assert rendio("drift", "--url", empty_db).stdout == "No drift.\n"


def test_json_for_machines(rendio: Any, db: str) -> None:
    plan = json.loads(rendio("plan", "--json", "--url", db).stdout)
    assert (plan["release"], plan["steps"]) == (__version__, [])
    status = json.loads(rendio("status", "--json", "--url", db).stdout)
    assert status["pending"] is False
    assert {"path": "sql/0001_foundation.sql", "state": "applied", "note": ""} in status["files"]
    assert {job["name"] for job in status["jobs"]} >= {"sweep-stuck-jobs"}
    assert json.loads(rendio("apply", "--json", "--url", db).stdout)["steps"] == []
    assert json.loads(rendio("drift", "--json", "--url", db).stdout) == []


def test_drift_is_4(rendio: Any, db: str) -> None:
    as_owner(db, "grant update on public.users to anon")
    result = rendio("drift", "--url", db)
    assert (result.exit_code, result.stdout) == (
        4,
        "table public.users: grants to anon was added\n",
    )
    found = json.loads(rendio("drift", "--json", "--url", db).stdout)
    assert found[0]["object"] == "table public.users"
    assert found[0]["now"] == "update"


def test_an_edited_file_is_6(rendio: Any, db: str) -> None:
    as_owner(db, "update rendio.migrations set checksum = 'x' where path ~ 'sql/0002'")
    for verb in ("apply", "plan", "status"):
        result = rendio(verb, "--url", db)
        assert result.exit_code == 6, verb
        assert "sql/0002_accounts.sql was edited after it was applied" in result.stderr
    assert "sql/0002_accounts.sql" in rendio("status", "--url", db).stdout


def test_foreign_objects_are_7(rendio: Any, empty_db: str) -> None:
    query(empty_db, "create table public.users (id int)")
    result = rendio("apply", "--url", empty_db)
    assert result.exit_code == 7
    assert "table public.users, owner" in result.stderr
    assert result.stdout == ""


def test_a_held_lock_is_5(rendio: Any, db: str) -> None:
    with psycopg.connect(db, application_name="rendio apply 0.0.9") as other:
        other.execute("select pg_advisory_xact_lock(1919250020, 26991)")
        holder = f"rendio apply 0.0.9, pid {other.info.backend_pid}"
        result = rendio("apply", "--lock-wait", "0", "--url", db)
    assert result.exit_code == 5
    assert holder in result.stderr


@pytest.mark.parametrize("verb", ["apply", "plan", "status", "drift", "verify"])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://someone:s3cret@127.0.0.1:1/x",
        "postgresql://someone:s3cret@nowhere.invalid/x",
        "postgresql://someone:s3/cret@127.0.0.1:1/x",
        "postgresql://someone:s3@cret@127.0.0.1:1/x",
        "host=127.0.0.1 port=1 password=s3cret nonsense",
        "nonsense",
    ],
)
def test_a_bad_url_is_one_line_without_the_password(rendio: Any, verb: str, url: str) -> None:
    result = rendio(verb, "--url", url)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "cret" not in result.stderr
    assert "s3" not in result.stderr


def test_no_database_is_a_usage_error(rendio: Any) -> None:
    for verb in ("apply", "plan", "status", "drift", "verify"):
        result = rendio(verb)
        assert result.exit_code == 2
        assert "DATABASE_URL" in result.stderr
