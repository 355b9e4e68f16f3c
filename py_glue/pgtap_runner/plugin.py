"""pytest plugin: every pgTAP file is a test.

It collects ``*.sql`` under the ini option ``pgtap_paths`` and files named on the command line, and
nothing else. They run in the database that the fixture ``pgtap_database`` names; a project
overrides the fixture, or sets ``pgtap_database_url``.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from . import loader
from .core import TIMEOUT, Result, run_file

RunFile = Callable[[Path], Result]

# What a report carries: through xdist, into junit.xml and to the summary.
_ASSERTIONS, _TODO_PASSED = "pgtap_assertions", "pgtap_todo_passed"

_NO_DATABASE = """\
no database for the pgTAP tests: define a session fixture pgtap_database that returns a URL,
or set pgtap_database_url (ini option) or --pgtap-database-url"""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pgtap", "pgTAP")
    group.addoption(
        "--pgtap-database-url",
        metavar="URL",
        help="database to run pgTAP tests in, unless a fixture pgtap_database names one",
    )
    parser.addini("pgtap_paths", "files and folders of pgTAP tests (*.sql)", type="paths")
    parser.addini("pgtap_database_url", "what --pgtap-database-url says, as a setting")
    parser.addini("pgtap_timeout", "seconds a pgTAP file may take, 0 for ever", default=TIMEOUT)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "SqlFile | None":
    if file_path.suffix != ".sql":
        return None
    paths: list[Path] = parent.config.getini("pgtap_paths")
    if parent.session.isinitpath(file_path) or any(file_path.is_relative_to(p) for p in paths):
        return SqlFile.from_parent(parent, path=file_path)
    return None


class SqlFile(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        path = self.path

        def run(request: pytest.FixtureRequest, pgtap_run_file: RunFile) -> None:
            _judge(request.node, pgtap_run_file(path))

        yield SqlItem.from_parent(self, name=path.stem, callobj=run)


class SqlItem(pytest.Function):
    """A pgTAP file as a test; a function, so that fixtures, marks and reports work as ever."""

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name


@pytest.fixture(scope="session")
def pgtap_database(pytestconfig: pytest.Config) -> str:
    """The URL of the database to test; override it in a conftest.py."""
    url = pytestconfig.getoption("pgtap_database_url") or pytestconfig.getini("pgtap_database_url")
    if not url:
        pytest.fail(_NO_DATABASE, pytrace=False)
    return str(url)


@pytest.fixture(scope="session")
def pgtap_run_file(pgtap_database: str, pytestconfig: pytest.Config) -> Iterator[RunFile]:
    """Run one file in the database, which has pgTAP for as long as the session lasts."""
    timeout = float(pytestconfig.getini("pgtap_timeout"))
    root = pytestconfig.rootpath

    def run(path: Path) -> Result:
        name = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
        return run_file(pgtap_database, path, schema=schema, timeout=timeout, name=name)

    try:
        with loader.loaded(pgtap_database) as schema:
            yield run
    except loader.PgtapMissing as error:
        pytest.fail(str(error), pytrace=False)
    except psycopg.OperationalError as error:
        pytest.fail(f"the pgTAP database: {error}", pytrace=False)


def _judge(item: pytest.Item, result: Result) -> None:
    report = result.report
    item.user_properties.append((_ASSERTIONS, len(report.assertions)))
    item.user_properties.extend((_TODO_PASSED, place) for place in result.todo_passed)
    if not result.ok:
        pytest.fail(result.text(), pytrace=False)
    if report.skip_all is not None:
        pytest.skip(report.skip_all or "no reason given")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts, todo_passed = [], []
    for report in (r for reports in terminalreporter.stats.values() for r in reports):
        if isinstance(report, pytest.TestReport) and report.when == "call":
            properties = report.user_properties
            counts += [int(str(value)) for key, value in properties if key == _ASSERTIONS]
            todo_passed += [value for key, value in properties if key == _TODO_PASSED]
    for place in todo_passed:
        terminalreporter.write_line(f"TODO passed: {place}")
    if counts:
        terminalreporter.write_line(f"pgTAP: {sum(counts)} assertions in {len(counts)} files")
