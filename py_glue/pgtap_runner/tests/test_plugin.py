"""The pytest plugin: what it collects, shows and remembers, and the database it takes."""

import psycopg
import pytest
from endings import ENDINGS
from support import write


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
    write(project.path / "t/a_bad.sql", ENDINGS["failing"].sql)
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
