"""pytest plugin: every pgTAP file is a test, and every assertion in it one of its subtests.

It collects ``*.sql`` under the ini option ``pgtap_paths`` and files named on the command line, and
nothing else. They run in the database that the fixture ``pgtap_database`` names; a project
overrides the fixture, or sets ``pgtap_database_url`` and, to have a copy for each worker of a
database that is migrated once, ``pgtap_migrate``.

A file runs once, in one session; then each assertion is told. That is done with pytest's own
subtests, because their reports carry the file's node id: xdist refuses any other, and a node id per
assertion would stay in the ``--lf`` cache for ever once the assertion is renamed. What subtests
cannot say is added here: the words for TODO and SKIP, and silence under ``-q``. In junit.xml a file
is a test case, each assertion a property of it, and each failing one a failure.
"""

import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

import pytest

if TYPE_CHECKING:
    from .core import Result
    from .tap import Assertion

RunFile: TypeAlias = "Callable[[Path], Result]"
Markup = dict[str, bool]
Status = tuple[str, str, str | tuple[str, Markup]]

TIMEOUT = "300"
# What a file's report carries: through xdist, into junit.xml and to the summary.
_ASSERTION, _COUNT, _TODO_PASSED = "pgtap", "pgtap_assertions", "pgtap_todo_passed"

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
    parser.addini(
        "pgtap_migrate",
        "module:function(url) or a command that fills an empty database; each worker tests a copy",
    )
    parser.addini("pgtap_timeout", "seconds a pgTAP file may take, 0 for ever", default=TIMEOUT)


# --- collection -----------------------------------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "SqlFile | None":
    if file_path.suffix != ".sql":
        return None
    paths: list[Path] = parent.config.getini("pgtap_paths")
    if parent.session.isinitpath(file_path) or any(file_path.is_relative_to(p) for p in paths):
        if not hasattr(pytest, "Subtests"):
            raise pytest.UsageError("pgtap_runner needs pytest 9 or later")
        return SqlFile.from_parent(parent, path=file_path)
    return None


class SqlFile(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        path = self.path

        def run(
            request: pytest.FixtureRequest, subtests: pytest.Subtests, pgtap_run_file: RunFile
        ) -> None:
            _tell(request.node, subtests, pgtap_run_file(path))

        yield SqlItem.from_parent(self, name=path.stem, callobj=run)


class SqlItem(pytest.Function):
    """A pgTAP file as a test; a function, so that fixtures, marks and reports work as ever."""

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name


# --- the database ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def pgtap_database(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Iterator[str]:
    """The URL of the database to test; override it in a conftest.py."""
    url = pytestconfig.getoption("pgtap_database_url") or pytestconfig.getini("pgtap_database_url")
    if not url:
        pytest.fail(_NO_DATABASE, pytrace=False)
    migration = pytestconfig.getini("pgtap_migrate")
    if not migration:
        yield url
        return
    from .template import copy_of_template

    run = worker = uuid.uuid4().hex[:12]
    if pytestconfig.pluginmanager.hasplugin("xdist"):
        run = request.getfixturevalue("testrun_uid")[:12]
        worker = request.getfixturevalue("worker_id")
    folder = pytestconfig.rootpath
    with _told_plainly(), copy_of_template(url, migration, run, worker, folder) as copy:
        yield copy


@pytest.fixture(scope="session")
def pgtap_run_file(pgtap_database: str, pytestconfig: pytest.Config) -> Iterator[RunFile]:
    """Run one file in the database, which has pgTAP for as long as the session lasts."""
    from . import core, loader

    timeout = float(pytestconfig.getini("pgtap_timeout"))
    root = pytestconfig.rootpath

    def run(path: Path) -> "Result":
        name = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
        with _told_plainly():
            return core.run_file(pgtap_database, path, schema=schema, timeout=timeout, name=name)

    with _told_plainly(), loader.loaded(pgtap_database) as schema:
        yield run


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Let what a person can mend fail without a traceback."""
    import psycopg

    from .loader import PgtapMissing
    from .template import MigrationFailed

    try:
        yield
    except (PgtapMissing, MigrationFailed) as error:
        pytest.fail(str(error), pytrace=False)
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
        pytest.fail(f"the pgTAP database: {str(error).strip()}", pytrace=False)


# --- reports --------------------------------------------------------------------------------------


def _tell(item: pytest.Item, subtests: pytest.Subtests, result: "Result") -> None:
    report = result.report
    try:
        for assertion in report.assertions:
            title = f"line {assertion.line}: {assertion.number} - {assertion.name}"
            with subtests.test(title, **_directive(assertion)):
                if not assertion.passed:
                    pytest.fail(result.tell(assertion), pytrace=False)
    finally:  # -x leaves at the first failure
        item.user_properties.append((_COUNT, len(report.assertions)))
        item.user_properties.extend((_ASSERTION, result.describe(a)) for a in report.assertions)
        item.user_properties.extend((_TODO_PASSED, place) for place in result.todo_passed)
    if not result.ok:
        pytest.fail("\n".join([result.headline(), *result.ending()]), pytrace=False)
    if report.skip_all is not None:
        pytest.skip(report.skip_all or "no reason given")


def _directive(assertion: "Assertion") -> dict[str, str]:
    kind = assertion.directive.lower()
    if assertion.todo_passed:
        kind = "todo_passed"
    return {kind: assertion.reason} if kind else {}


# category, letter and word of a subtest by what _directive says
_WORDS: dict[str, tuple[str, str, tuple[str, Markup]]] = {
    "todo": ("subtests xfailed", "y", ("SUBXFAIL", {"yellow": True})),
    "todo_passed": ("subtests xpassed", "Y", ("SUBXPASS", {"yellow": True})),
    "skip": ("subtests skipped", "-", ("SUBSKIPPED", {"yellow": True})),
}


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> Status | None:
    if not _is_assertion(report) or report.failed:
        return None
    if config.get_verbosity("subtests") <= 0:
        return "", "", ""
    for kind in report.context.kwargs:
        category, letter, (word, markup) = _WORDS[kind]
        return category, letter, (f"{word}[{report.context.msg}]", markup)
    return None


def _is_assertion(report: pytest.TestReport) -> "TypeGuard[pytest.SubtestReport]":
    return isinstance(report, getattr(pytest, "SubtestReport", ())) and ".sql::" in report.nodeid


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a skipped file be named as the place, not the line here that skips it."""
    report = yield
    if isinstance(item, SqlItem) and call.when == "call" and isinstance(report.longrepr, tuple):
        report.longrepr = (str(item.path), 1, report.longrepr[2])
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts, todo_passed = [], []
    for report in (r for reports in terminalreporter.stats.values() for r in reports):
        if isinstance(report, pytest.TestReport) and report.when == "call":
            properties = report.user_properties
            counts += [int(str(value)) for key, value in properties if key == _COUNT]
            todo_passed += [value for key, value in properties if key == _TODO_PASSED]
    for place in todo_passed:
        terminalreporter.write_line(f"TODO passed: {place}")
    if counts:
        terminalreporter.write_line(f"pgTAP: {sum(counts)} assertions in {len(counts)} files")
