"""pgtap_runner on a real server: verdicts, what it leaves behind, command line, pytest plugin."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from pgtap_runner import cli, core, limit, loader, run_file
from servers import Cluster

pytestmark = pytest.mark.once

pytest_plugins = ["pytester"]


@pytest.fixture
def database(server: Cluster, new_name: Callable[[], str]) -> Iterator[str]:
    """The superuser's URL of an empty database."""
    name = new_name()
    yield server.create(name)
    server.drop(name)


@pytest.fixture(scope="module")
def tap_database(server: Cluster, new_name: Callable[[], str]) -> Iterator[str]:
    """The superuser's URL of a database that has pgTAP for as long as this module runs."""
    name = new_name()
    url = server.create(name)
    with loader.loaded(url):
        yield url
    server.drop(name)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def schemas(url: str) -> set[object]:
    return {name for (name,) in rows(url, "select nspname from pg_namespace")}


# --- verdicts -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    sql: str
    assertions: int
    says: tuple[str, ...] = ()  # in the text of a failure; a case that says nothing passes


PLAN_1 = "begin; select plan(1);\n"
END = "\nselect * from finish(); rollback;"

CASES = {
    "passes": Case("begin; select plan(2); select pass('a'); select ok(true, 'b');" + END, 2),
    "no_plan": Case("begin; select no_plan(); select pass('a');" + END, 1),
    "several_in_one_row": Case(
        "begin; select plan(3); select skip('slow', 2); select pass('c');" + END, 3
    ),
    "several_in_one_statement": Case(
        "begin; select plan(2); select pass(n) from unnest('{a,b}'::text[]) n;" + END, 2
    ),
    "other_output": Case(
        "select 1, 2; select null; do $$ begin end $$;" + PLAN_1 + "select pass();" + END, 1
    ),
    "skip_all": Case("select '1..0 # SKIP not on this server';", 0),
    "psql_lines": Case("\\set ECHO none\n\\pset format unaligned\n" + PLAN_1 + "select pass();", 1),
    "without_transaction": Case("select plan(1); select pass('a'); select * from finish();", 1),
    "todo": Case(
        "begin; select plan(2); select todo('later', 2); select fail('a'); select pass('b');" + END,
        2,
    ),
    "as_another_role": Case(
        "begin; select plan(2); create role pgtap_nobody; set local role pgtap_nobody;"
        " select is(current_user, 'pgtap_nobody'); reset role; select pass();" + END,
        2,
    ),
    "strings": Case(
        PLAN_1 + "select is(E'\\';'::text, $a$';$a$, 'a; /* b') -- ;\n/* ; /* */ */;" + END,
        1,
    ),
    "failing": Case(
        "begin;\nselect plan(2);\nselect pass('a');\nselect is(1,\n 2, 'b');" + END,
        2,
        ("1 of 2 assertions failed", "failing.sql:4: not ok 2 - b", "have: 1", "want: 2"),
    ),
    "too_few": Case("begin; select plan(3); select pass('a');" + END, 1, ("planned 3 but ran 1",)),
    "too_many": Case(
        PLAN_1 + "select pass('a'); select pass('b');" + END,
        2,
        ("1 of 2 assertions failed", "planned 1 but ran 2", "ok 2 - b (not planned)"),
    ),
    "never_finished": Case(
        "begin; select no_plan(); select pass('a'); rollback;", 1, ("no plan found",)
    ),
    "no_plan_at_all": Case("begin; select 'ok 1 - by hand'; rollback;", 1, ("no plan found",)),
    "plan_twice": Case(PLAN_1 + "select '1..1'; select pass();" + END, 1, ("more than one plan",)),
    "forgot_the_plan": Case("begin; select pass('a'); rollback;", 0, ("P0001 You tried to run",)),
    "empty": Case("", 0, ("no plan found",)),
    "only_comments": Case("-- nothing\n/* at all */", 0, ("no plan found",)),
    "error_in_the_middle": Case(
        "begin;\nselect plan(3);\nselect pass('a');\nselect fail('b');\n\nselect\n  1,\n"
        "  nothere;\nselect pass('c');" + END,
        2,
        (
            '1 of 2 assertions failed; error_in_the_middle.sql:8: 42703 column "nothere" does not',
            "error_in_the_middle.sql:4: not ok 2 - b",
            "after 2 of 3 planned assertions",
        ),
    ),
    "error_in_a_function": Case(
        PLAN_1 + "\ndo $$ begin\n  raise notice 'so far';\n  perform 1 / 0;\nend $$;" + END,
        0,
        ("error_in_a_function.sql:3: 22012 division by zero", "context: SQL", "NOTICE: so far"),
    ),
    "constraint_at_commit": Case(
        "select plan(1); select pass('a');\n"
        "create temp table t (id int unique deferrable initially deferred);\n"
        "begin; insert into t values (1), (1);\ncommit;",
        1,
        ("constraint_at_commit.sql:4: 23505", "detail: Key (id)=(1) already exists."),
    ),
    "finish_raises": Case(
        PLAN_1 + "select fail('a'); select * from finish(true); rollback;",
        1,
        ("1 of 1 assertions failed", "P0001"),
    ),
    "disconnects": Case(
        PLAN_1 + "select pass('a');\nselect pg_terminate_backend(pg_backend_pid());\nselect 1;",
        1,
        ("disconnects.sql:3: 57P01 terminating connection",),
    ),
    "unclosed": Case("select plan(1);\nselect 'abc;", 0, ("unclosed.sql:2: a string is never",)),
    "latin1": Case("select plan(1);\nselect pass('\udce4');", 0, ("latin1.sql:2: byte 0xe4",)),
}


@pytest.mark.parametrize("name", CASES)
def test_verdicts(name: str, tap_database: str, tmp_path: Path) -> None:
    case = CASES[name]
    path = tmp_path / f"{name}.sql"
    path.write_bytes(case.sql.encode(errors="surrogateescape"))
    result = run_file(tap_database, path, name=path.name)
    assert result.ok == (not case.says), result.text()
    assert len(result.report.assertions) == case.assertions
    for words in case.says:
        assert words in result.text()


def libpq_environment(url: str) -> dict[str, str]:
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    parts = psycopg.conninfo.conninfo_to_dict(url)
    return {names.get(key, "PGDATABASE"): str(value) for key, value in parts.items()}


@pytest.mark.skipif(shutil.which("pg_prove") is None, reason="pg_prove is not installed")
def test_same_verdicts_as_pg_prove(tap_database: str, server: Cluster, tmp_path: Path) -> None:
    for name, case in CASES.items():
        (tmp_path / f"{name}.sql").write_bytes(case.sql.encode(errors="surrogateescape"))
    environment = {
        **os.environ,
        **libpq_environment(tap_database),
        "PGOPTIONS": f"-c search_path=public,{loader.SCHEMA}",
    }
    done = subprocess.run(
        ["pg_prove", "--ext", ".sql", "--psql-bin", server.psql_path, tmp_path],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    summary = done.stdout.partition("Test Summary Report")[2]
    failed = set(re.findall(r"(\w+)\.sql +\(Wstat: .* Tests: .* Failed: ", summary))
    todo_passed = {"todo"}  # also listed, though it passes
    assert f"Files={len(CASES)}," in summary
    assert failed - todo_passed == {name for name, case in CASES.items() if case.says}


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
    path = write(tmp_path / "todo.sql", CASES["todo"].sql)
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


# --- what is left behind --------------------------------------------------------------------------


@pytest.mark.parametrize("opening", ["", "begin;", "begin; select 1/0;"])
def test_a_file_leaves_nothing_open(opening: str, tap_database: str, tmp_path: Path) -> None:
    text = f"{opening} select plan(1); create table public.left_behind(); select pass();"
    run_file(tap_database, write(tmp_path / "open.sql", text))
    assert rows(tap_database, "select to_regclass('public.left_behind')") == [(None,)]


def test_pgtap_is_dropped_by_the_last_who_uses_it(database: str) -> None:
    with loader.loaded(database) as schema:
        with loader.loaded(database) as same:
            assert schema == same == loader.SCHEMA
        assert loader.SCHEMA in schemas(database)
    assert loader.SCHEMA not in schemas(database)


def test_pgtap_left_by_a_killed_run_is_dropped_by_the_next(
    database: str, connect: Callable[..., psycopg.Connection]
) -> None:
    killed = loader.loaded(database)
    killed.__enter__()
    query = "select pid from pg_stat_activity where datname = current_database() and pid <> %s"
    with psycopg.connect(database, autocommit=True) as other:
        for (pid,) in other.execute(query, [other.info.backend_pid]).fetchall():
            other.execute("select pg_terminate_backend(%s, 10000)", [pid])
    killed.__exit__(None, None, None)
    assert loader.SCHEMA in schemas(database)
    with loader.loaded(database):
        pass
    assert loader.SCHEMA not in schemas(database)


def test_pgtap_that_was_there_is_used_and_stays(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database) as connection:
        loader.ensure(connection)
        connection.execute(f'alter schema {loader.SCHEMA} rename to "My Tests"')
    with loader.loaded(database) as schema:
        assert schema == "My Tests"
        result = run_file(database, write(tmp_path / "a.sql", CASES["passes"].sql), schema=schema)
        assert result.ok, result.text()
    assert {"My Tests"} == schemas(database) & {"My Tests", loader.SCHEMA}


def test_pgtap_from_a_script(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGTAP_SQL", raising=False)
    script = write(tmp_path / "pgtap.sql", "\\echo not for psql\n" + loader._script().decode())
    monkeypatch.setenv("PGTAP_SQL", str(script))
    with loader.loaded(database):
        result = run_file(database, write(tmp_path / "a.sql", CASES["failing"].sql))
        extensions = rows(database, "select extname from pg_extension where extname = 'pgtap'")
    assert [a.ok for a in result.report.assertions] == [True, False]
    assert extensions == []
    assert loader.SCHEMA not in schemas(database)


def test_no_pgtap_says_what_to_install(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGTAP_SQL", raising=False)
    monkeypatch.setattr(loader, "_is_available", lambda _: False)
    monkeypatch.setattr(loader, "_SCRIPTS", ())
    with pytest.raises(loader.PgtapMissing, match="apt-get install postgresql-15-pgtap"):
        loader.loaded(database).__enter__()
    monkeypatch.setenv("PGTAP_SQL", "/nowhere/pgtap.sql")
    with pytest.raises(loader.PgtapMissing, match=r"/nowhere/pgtap\.sql: No such file"):
        loader.loaded(database).__enter__()
    assert loader.SCHEMA not in schemas(database)


def test_a_foreign_schema_of_that_name_is_not_touched(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(f"create schema {loader.SCHEMA}")
    with pytest.raises(loader.PgtapMissing, match="exists but holds no pgTAP"):
        loader.loaded(database).__enter__()
    assert loader.SCHEMA in schemas(database)


# --- command line ---------------------------------------------------------------------------------


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of tests, which is the working directory."""
    write(tmp_path / "t/good.sql", CASES["passes"].sql)
    write(tmp_path / "t/more/bad.sql", CASES["failing"].sql)
    write(tmp_path / "t/more/todo.sql", CASES["todo"].sql)
    write(tmp_path / "t/more/skipped.sql", CASES["skip_all"].sql)
    write(tmp_path / "t/more/notes.txt", "no test")
    write(tmp_path / "migrations/0001_boom.sql", "create table public.ran_as_a_test();")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_command_passes(suite: Path, tap_database: str) -> None:
    done = command("t", "--url", tap_database)
    assert done.exit_code == 0
    assert done.output.startswith("t/good.sql .. ok\nAll tests successful.\nFiles=1, Tests=2, ")
    assert done.output.endswith("Result: PASS\n")


def test_command_fails(suite: Path, tap_database: str) -> None:
    done = command("-r", "t", "--url", tap_database)
    assert done.exit_code == 1
    assert "t/more/bad.sql .. FAILED\n1 of 2 assertions failed\nt/more/bad.sql:4: n" in done.output
    assert "t/more/skipped.sql .. skipped: not on this server" in done.output
    assert "TODO passed: t/more/todo.sql:1: ok 2 - b # TODO later" in done.output
    assert "Files=4, Tests=6, " in done.output
    assert "notes.txt" not in done.output


def test_command_verbose_and_quiet(suite: Path, tap_database: str) -> None:
    assert "ok 1 - a\nok 2 - b\n" in command("-v", "t", "--url", tap_database).output
    assert "good.sql" not in command("-q", "t", "--url", tap_database).output


def test_command_ends_at_a_bail_out(suite: Path, tap_database: str) -> None:
    write(suite / "t/a_bail.sql", "select 'Bail out! no disk';")
    done = command("t", "--url", tap_database)
    assert done.exit_code == 255
    assert done.output.endswith("Bail out! no disk\n")
    assert "good.sql" not in done.output


def test_command_finds_the_database_like_psql(
    suite: Path, tap_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(tap_database)
    monkeypatch.setenv("PGUSER", str(parts["user"]))
    monkeypatch.setenv("PGHOST", "/nowhere")
    monkeypatch.setenv("PGPORT", str(parts.get("port", 5432)))
    if password := parts.get("password"):
        monkeypatch.setenv("PGPASSWORD", str(password))
    host, name = str(parts["host"]), str(parts["dbname"])
    assert command("t", "--host", host, "--dbname", name).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "exit_code", "says"),
    [
        (["."], 2, "no *.sql in .; -r looks in its folders too"),
        (["t", "--ext", ".pg"], 2, "no *.pg in t"),
        (["nowhere"], 2, "'nowhere' does not exist"),
        ([], 2, "Missing argument"),
        (["t", "--url", "postgresql://nobody@/x?host=/nowhere"], 1, "/nowhere"),
        (["t", "--url", "nonsense"], 1, "nonsense"),
    ],
)
def test_command_refuses(suite: Path, arguments: list[str], exit_code: int, says: str) -> None:
    done = command(*arguments)
    assert done.exit_code == exit_code
    assert says in done.output
    assert "Traceback" not in done.output


def test_two_commands_on_one_database(suite: Path, database: str) -> None:
    run = f"from {cli.__name__} import main; main()"
    arguments = [sys.executable, "-c", run, "t", "t/more/todo.sql", "--url", database]
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: subprocess.run(arguments, check=False), range(2)))
    assert [process.returncode for process in done] == [0, 0]
    assert loader.SCHEMA not in schemas(database)


# --- pytest plugin --------------------------------------------------------------------------------


@pytest.fixture
def project(pytester: pytest.Pytester, tap_database: str) -> pytest.Pytester:
    """A project with pgTAP tests in t, a failing migration beside them and a Python test."""
    write(pytester.path / "t/good.sql", CASES["passes"].sql)
    write(pytester.path / "t/more/bad.sql", CASES["failing"].sql)
    write(pytester.path / "t/more/todo.sql", CASES["todo"].sql)
    write(pytester.path / "t/more/skipped.sql", CASES["skip_all"].sql)
    write(pytester.path / "migrations/0001_boom.sql", "create table public.ran_as_a_test();")
    pytester.makepyfile(test_it="def test_python(): pass")
    pytester.makeini(f"[pytest]\npgtap_paths = t\npgtap_database_url = {tap_database}")
    return pytester


def run_plugin(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest without the other plugins installed here, which are slow to load."""
    return project.runpytest("-pno:hypothesispytest", "-pno:xdist", *arguments)


def test_plugin_runs_what_is_configured(project: pytest.Pytester) -> None:
    done = run_plugin(project, "-v", "--junitxml=junit.xml")
    done.assert_outcomes(passed=3, failed=1, skipped=1)
    done.stdout.fnmatch_lines(
        [
            "t/good.sql::good PASSED*",
            "t/more/bad.sql::bad FAILED*",
            "t/more/skipped.sql::skipped SKIPPED (not on this server)*",
            "1 of 2 assertions failed",
            "t/more/bad.sql:4: not ok 2 - b",
            "    #         have: 1",
            "TODO passed: t/more/todo.sql:1: ok 2 - b # TODO later",
            "pgTAP: 6 assertions in 4 files",
            "FAILED t/more/bad.sql::bad - *1 of 2 assertions failed",
        ]
    )
    done.stdout.no_fnmatch_line("*plugin.py:*: Failed*")
    junit = (project.path / "junit.xml").read_text()
    assert '<property name="pgtap_assertions" value="2" />' in junit


def test_plugin_installed_and_not_configured_does_nothing(project: pytest.Pytester) -> None:
    project.makeini("[pytest]")
    done = run_plugin(
        project,
    )
    done.assert_outcomes(passed=1)
    done.stdout.no_fnmatch_line("pgTAP:*")
    named = run_plugin(project, "t/good.sql", "--collect-only", "-q")
    named.stdout.fnmatch_lines(["t/good.sql::good"])


def test_plugin_selects_like_any_test(project: pytest.Pytester) -> None:
    run_plugin(project, "-k", "good or todo").assert_outcomes(passed=2, deselected=3)
    run_plugin(project, "t/more/bad.sql::bad").assert_outcomes(failed=1)
    run_plugin(project, "t").assert_outcomes(passed=2, failed=1, skipped=1)
    run_plugin(project, "--lf").assert_outcomes(failed=1)
    write(project.path / "t/a_bad.sql", CASES["failing"].sql)
    run_plugin(project, "-x").assert_outcomes(failed=1)


def test_plugin_under_xdist(project: pytest.Pytester) -> None:
    done = project.runpytest_subprocess("-n2", "-pno:hypothesispytest")
    done.assert_outcomes(passed=3, failed=1, skipped=1)
    done.stdout.fnmatch_lines(["pgTAP: 6 assertions in 4 files"])


def test_plugin_takes_the_projects_database(project: pytest.Pytester, tap_database: str) -> None:
    project.makeini("[pytest]\npgtap_paths = t\npgtap_database_url = postgresql://@:1/nowhere")
    project.makeconftest(
        f"""
        import pytest

        @pytest.fixture(scope="session")
        def pgtap_database():
            return {tap_database!r}
        """
    )
    run_plugin(project, "t/good.sql").assert_outcomes(passed=1)


def test_plugin_never_guesses_a_database(
    project: pytest.Pytester, tap_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(tap_database)
    monkeypatch.setenv("DATABASE_URL", tap_database)
    for variable, key in (("PGHOST", "host"), ("PGUSER", "user"), ("PGDATABASE", "dbname")):
        monkeypatch.setenv(variable, str(parts[key]))
    project.makeini("[pytest]\npgtap_paths = t")
    done = run_plugin(project, "t/good.sql")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["no database for the pgTAP tests: define a session fixture*"])


def test_plugin_says_when_there_is_no_server(project: pytest.Pytester) -> None:
    url = "postgresql://nobody@/x?host=/nowhere"
    project.makeini(f"[pytest]\npgtap_paths = t\npgtap_database_url = {url}")
    done = run_plugin(project, "t/good.sql")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["the pgTAP database: *"])
    done.stdout.no_fnmatch_line("*Traceback*")


def test_plugin_heeds_its_timeout(project: pytest.Pytester, tap_database: str) -> None:
    write(project.path / "t/slow.sql", "select plan(1); select pg_sleep(600);")
    done = run_plugin(project, "t/slow.sql", "-o", "pgtap_timeout=0.5")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["t/slow.sql:1: timed out after 0.5 s"])
