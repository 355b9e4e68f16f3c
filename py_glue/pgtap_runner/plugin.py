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
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

if TYPE_CHECKING:
    from .core import Result
    from .tap import Assertion

RunFile: TypeAlias = "Callable[[Path], Result]"
Status = tuple[str, str, str | tuple[str, dict[str, bool]]]

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
    with ExitStack() as stack:
        yield stack.enter_context(_copy(request, url, migration)) if migration else url


def _copy(request: pytest.FixtureRequest, url: str, migration: str) -> ...:
    pass


@pytest.fixture(scope="session")
def pgtap_run_file(pgtap_database: str, pytestconfig: pytest.Config) -> Iterator[RunFile]:
    """Run one file in the database, which has pgTAP for as long as the session lasts."""
