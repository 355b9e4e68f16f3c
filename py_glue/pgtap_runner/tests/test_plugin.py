"""The pytest plugin: what it collects, shows and remembers, and the database it takes."""

import subprocess
import sys
from xml.etree import ElementTree

import psycopg
import pytest
from endings import ENDINGS
from support import run_in_two_workers, run_plugin, write

BAD = 2  # a failing file of one failing assertion: pytest counts the subtest and its test


@pytest.fixture
def project(pytester: pytest.Pytester, tap_database: str) -> pytest.Pytester:
    """A project with pgTAP tests in t, a failing migration beside them and a Python test."""
    write(pytester.path / "t/good.sql", ENDINGS["passes"].sql)
    write(pytester.path / "t/more/bad.sql", ENDINGS["failing"].sql)
    write(pytester.path / "t/more/todo.sql", ENDINGS["todo"].sql)
    write(pytester.path / "t/more/skipped.sql", ENDINGS["skip_all"].sql)
    write(pytester.path / "migrations/0001_boom.sql", "create table public.ran_as_a_test();")
    pytester.makepyfile(test_it="def test_python(): pass")
    pytester.makeini(f"[pytest]\npgtap_paths = t\npgtap_database_url = {tap_database}")
    return pytester


# --- what is shown --------------------------------------------------------------------------------


def test_every_assertion_is_shown(project: pytest.Pytester) -> None:
    done = run_plugin(project, "-v")
    done.stdout.fnmatch_lines(
        [
            "t/good.sql::good SUBPASSED[[]line 1: 1 - a]*",
            "t/good.sql::good SUBPASSED[[]line 1: 2 - b]*",
            "t/good.sql::good PASSED*",
            "t/more/bad.sql::bad SUBPASSED[[]line 3: 1 - a]*",
            "t/more/bad.sql::bad SUBFAILED[[]line 4: 2 - b]*",
            "t/more/bad.sql::bad FAILED*",
            "t/more/skipped.sql::skipped SKIPPED (not on this server)*",
            "t/more/todo.sql::todo SUBXFAIL[[]line 1: 1 - a]*",
            "t/more/todo.sql::todo SUBXPASS[[]line 1: 2 - b]*",
            "t/more/todo.sql::todo PASSED*",
            "*_ bad [[]line 4: 2 - b] _*",
            "t/more/bad.sql:4: not ok 2 - b",
            "    #         have: 1",
            "    #         want: 2",
            "*_ bad _*",
            "1 of 2 assertions failed",
            "TODO passed: t/more/todo.sql:1: ok 2 - b # TODO later",
            "pgTAP: 6 assertions in 4 files",
            "SUBFAILED[[]line 4: 2 - b] t/more/bad.sql::bad - *t/more/bad.sql:4: not *",
            "FAILED t/more/bad.sql::bad - *1 of 2 assertions failed",
        ]
    )
    done.stdout.no_fnmatch_line("*plugin.py*")


def test_skipped_assertions_are_shown(project: pytest.Pytester) -> None:
    write(project.path / "t/skips.sql", ENDINGS["several_in_one_row"].sql)
    done = run_plugin(project, "-v", "t/skips.sql")
    done.stdout.fnmatch_lines(["t/skips.sql::skips SUBSKIPPED[[]line 1: 1 - *"])
    done.assert_outcomes(passed=1)


@pytest.mark.parametrize(("arguments", "shown"), [([], "t/more/bad.sql uF "), (["-q"], ".uFs..")])
def test_by_default_a_file_is_one_character(
    arguments: list[str], shown: str, project: pytest.Pytester
) -> None:
    done = run_plugin(project, *arguments)
    done.stdout.fnmatch_lines([f"*{shown}*"])


def test_an_error_in_the_middle_is_told_with_what_was_seen(project: pytest.Pytester) -> None:
    write(project.path / "t/broken.sql", ENDINGS["error_in_the_middle"].sql)
    done = run_plugin(project, "t/broken.sql")
    done.stdout.fnmatch_lines(
        [
            "t/broken.sql:4: not ok 2 - b",
            '1 of 2 assertions failed; t/broken.sql:8: 42703 column "nothere" does not exist',
            "    after 2 of 3 planned assertions",
            "pgTAP: 2 assertions in 1 files",
        ]
    )


def test_junit(project: pytest.Pytester) -> None:
    run_plugin(project, "--junitxml=junit.xml")
    cases = {
        case.get("name"): case
        for case in ElementTree.parse(project.path / "junit.xml").iter("testcase")
    }
    assert set(cases) == {"good", "bad", "todo", "skipped", "test_python"}
    assert next(failure.get("message") for failure in cases["bad"].iter("failure")) == (
        "Failed: t/more/bad.sql:4: not ok 2 - b\n    #         have: 1\n    #         want: 2"
    )
    told = [p.get("value") for p in cases["todo"].iter("property") if p.get("name") == "pgtap"]
    assert told == [
        "t/more/todo.sql:1: not ok 1 - a # TODO later",
        "t/more/todo.sql:1: ok 2 - b # TODO later",
    ]
    assert list(cases["todo"].iter("skipped")) == list(cases["todo"].iter("failure")) == []


# --- what is run ----------------------------------------------------------------------------------


def test_installed_and_not_configured_does_nothing(project: pytest.Pytester) -> None:
    project.makeini("[pytest]")
    done = run_plugin(
        project,
    )
    done.assert_outcomes(passed=1)
    done.stdout.no_fnmatch_line("pgTAP:*")
    named = run_plugin(project, "t/good.sql", "--collect-only", "-q")
    named.stdout.fnmatch_lines(["t/good.sql::good"])


def test_without_tests_it_needs_no_psycopg() -> None:
    check = "import sys, pgtap_runner.plugin; sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


def test_selects_like_any_test(project: pytest.Pytester) -> None:
    run_plugin(project, "-k", "good or todo").assert_outcomes(passed=2, deselected=3)
    run_plugin(project, "t/more/bad.sql::bad").assert_outcomes(failed=BAD)
    run_plugin(project, "t").assert_outcomes(passed=2, failed=BAD, skipped=1)


def test_remembers_what_failed(project: pytest.Pytester) -> None:
    run_plugin(project)
    again = run_plugin(project, "--lf")
    again.assert_outcomes(failed=BAD)
    again.stdout.fnmatch_lines(["collected 1 item"])
    write(project.path / "t/more/bad.sql", ENDINGS["passes"].sql)
    run_plugin(project, "--lf").assert_outcomes(passed=1)
    assert "bad" not in (project.path / ".pytest_cache/v/cache/lastfailed").read_text()


def test_a_failure_before_passes_is_remembered(project: pytest.Pytester) -> None:
    text = "begin; select plan(2); select fail('a'); select pass('b'); rollback;"
    write(project.path / "t/good.sql", text)
    run_plugin(project, "t/good.sql")
    run_plugin(project, "--lf", "t/good.sql").assert_outcomes(failed=BAD)


def test_stops_at_the_first_failure(project: pytest.Pytester) -> None:
    text = "begin; select plan(2); select fail('a'); select fail('b'); rollback;"
    write(project.path / "t/a_bad.sql", text)
    done = run_plugin(project, "-x")
    done.assert_outcomes(failed=BAD)
    done.stdout.fnmatch_lines(["t/a_bad.sql:1: not ok 1 - a", "pgTAP: 2 assertions in 1 files"])
    done.stdout.no_fnmatch_line("*not ok 2 - b")


def test_a_file_is_run_once(project: pytest.Pytester, tap_database: str) -> None:
    with psycopg.connect(tap_database) as connection:
        connection.execute("create sequence runs")
    text = "begin; select plan(2); select fail(nextval('runs')::text); select fail('b'); rollback;"
    write(project.path / "t/counts.sql", text)
    run_plugin(project, "-v", "t/counts.sql").assert_outcomes(failed=3)
    with psycopg.connect(tap_database) as connection:
        assert connection.execute("select last_value from runs").fetchone() == (1,)
        connection.execute("drop sequence runs")


def test_in_two_workers(project: pytest.Pytester) -> None:
    done = run_in_two_workers(project, "-v", "--junitxml=junit.xml")
    done.assert_outcomes(passed=3, failed=BAD, skipped=1)
    done.stdout.fnmatch_lines(["*SUBFAILED[[]line 4: 2 - b] t/more/bad.sql::bad*"])
    done.stdout.fnmatch_lines(["*SUBXFAIL[[]line 1: 1 - a] t/more/todo.sql::todo*"])
    done.stdout.fnmatch_lines(["pgTAP: 6 assertions in 4 files"])
    junit = (project.path / "junit.xml").read_text()
    assert 'value="t/more/bad.sql:4: not ok 2 - b"' in junit


# --- the database ---------------------------------------------------------------------------------


def test_takes_the_projects_database(project: pytest.Pytester, tap_database: str) -> None:
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


def test_never_guesses_a_database(
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


def test_says_when_there_is_no_server(project: pytest.Pytester) -> None:
    url = "postgresql://nobody@/x?host=/nowhere"
    project.makeini(f"[pytest]\npgtap_paths = t\npgtap_database_url = {url}")
    done = run_plugin(project, "t/good.sql")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["the pgTAP database: *"])
    done.stdout.no_fnmatch_line("*Traceback*")


def test_heeds_its_timeout(project: pytest.Pytester, tap_database: str) -> None:
    write(project.path / "t/slow.sql", "select plan(1); select pg_sleep(600);")
    done = run_plugin(project, "t/slow.sql", "-o", "pgtap_timeout=0.5")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["t/slow.sql:1: timed out after 0.5 s"])
