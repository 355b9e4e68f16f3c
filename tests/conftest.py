"""Fixtures: a server, databases on it, connections to them. See servers.py for the server."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import profiles
import psycopg
import pytest
import servers
from pg_cron_compat.install import install
from pgtap_runner import loader
from psycopg.conninfo import conninfo_to_dict
from rendio import migrate
from servers import Cluster, NoServer, Run

RUN = pytest.StashKey[Run | NoServer]()
SLOW_TO_SET_UP = ("test_demo.py", "test_profiles.py", "test_budgets.py")

# Tests go to the server chosen here and nowhere else.
for _name in list(os.environ):
    if _name == "DATABASE_URL" or (_name.startswith("PG") and _name != "PGTAP_SQL"):
        del os.environ[_name]


# --- the run --------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    if given := getattr(config, "workerinput", {}).get("rendio_run"):
        config.stash[RUN] = Run.of_worker(given)
        return
    try:
        config.stash[RUN] = Run.begin()
    except NoServer as error:
        config.stash[RUN] = error


def pytest_unconfigure(config: pytest.Config) -> None:
    run = config.stash.get(RUN, None)
    if isinstance(run, Run) and not hasattr(config, "workerinput"):
        run.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that take seconds to set up.

    A worker that has run out of tests takes the other's last ones, and sets their module up anew.
    """
    items.sort(key=lambda item: item.path.name not in SLOW_TO_SET_UP)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    run = node.config.stash[RUN]
    if isinstance(run, Run):
        node.workerinput["rendio_run"] = run.for_worker()


def pytest_report_header(config: pytest.Config) -> str:
    run = config.stash[RUN]
    label = f"{run.kind} {run.version}" if isinstance(run, Run) else f"none ({run})"
    return f"server: {label}, profile {profiles.from_environment().name}"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Write what tests/run.py shows in its table to the file it names."""
    if not (path := os.environ.get("RENDIO_TEST_REPORT")):
        return
    run, stats = config.stash[RUN], terminalreporter.stats
    passed = [dict(report.user_properties) for report in stats.get("passed", [])]
    assertions = [int(p["pgtap_assertions"]) for p in passed if "pgtap_assertions" in p]
    failed = [  # a pgTAP file that fails is one, however many of its assertions do
        report
        for report in stats.get("failed", []) + stats.get("error", [])
        if not isinstance(report, pytest.SubtestReport)
    ]
    reasons = Counter(_skip_reason(report) for report in stats.get("skipped", []))
    told = {
        "server": run.kind if isinstance(run, Run) else "none",
        "profile": profiles.from_environment().name,
        "version": run.version if isinstance(run, Run) else "",
        "assertions": sum(assertions),
        "python": len(passed) - len(assertions),
        "failed": len(failed),
        "skipped": dict(reasons),
    }
    Path(path).write_text(json.dumps(told))


def _skip_reason(report: Any) -> str:
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return str(told).removeprefix("Skipped: ")


# --- server and databases -------------------------------------------------------------------------


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> Run:
    """What the workers of this test run share."""
    found = pytestconfig.stash[RUN]
    if isinstance(found, NoServer):
        pytest.fail(str(found), pytrace=False)
    return found


@pytest.fixture(scope="session")
def profile() -> profiles.Profile:
    """The shape of database that the suite runs on."""
    return profiles.from_environment()


@pytest.fixture(scope="session")
def server(run: Run, profile: profiles.Profile) -> Cluster:
    """The server under test, one for all workers."""
    cluster = run.cluster(profile.superuser, profile.settings)

    def prepare() -> None:
        profile.prepare_cluster(cluster.superuser_url)
        profile.let_login_set_role(cluster.superuser_url)

    run.once("cluster", prepare)
    return cluster


@pytest.fixture(scope="session")
def superuser_url(server: Cluster) -> str:
    """The server's superuser, in its maintenance database."""
    return server.superuser_url


@pytest.fixture(scope="session")
def template_db(server: Cluster, run: Run, profile: profiles.Profile) -> str:
    """The name of the migrated database that the others are copies of."""
    name = f"{run.prefix}rendio_template"

    def build() -> str:
        server.drop(name)  # half of one, when another worker has failed here
        migrate.apply(_new_database(server, profile, name))
        return name

    return str(run.once("template", build))


def _new_database(server: Cluster, profile: profiles.Profile, name: str) -> str:
    created = profile.create_database(server.superuser_url, name)
    return server.url(name, conninfo_to_dict(created)["user"])


@pytest.fixture(scope="session")
def new_name(run: Run, pytestconfig: pytest.Config) -> Callable[[], str]:
    """Make names for databases that no other worker of this run uses."""
    worker = getattr(pytestconfig, "workerinput", {}).get("workerid", "main")
    numbers = count(1)
    return lambda: f"{run.prefix}{worker}_{next(numbers)}"


@pytest.fixture(scope="session")
def clone(
    server: Cluster, template_db: str, profile: profiles.Profile, new_name: Callable[[], str]
) -> Callable[[], str]:
    """Make one more copy of the template and return its URL; the caller drops it."""
    owner = conninfo_to_dict(profile.url(server.superuser_url, "postgres"))["user"]

    def make() -> str:
        name = new_name()
        server.create(name, template_db, owner=owner)
        return server.url(name, owner)

    return make


def _dropped_afterwards(server: Cluster, url: str) -> Iterator[str]:
    yield url
    server.drop(conninfo_to_dict(url)["dbname"])


@pytest.fixture
def db(server: Cluster, clone: Callable[[], str]) -> Iterator[str]:
    """The URL of a migrated database for this test alone."""
    yield from _dropped_afterwards(server, clone())


@pytest.fixture
def empty_db(
    server: Cluster, profile: profiles.Profile, new_name: Callable[[], str]
) -> Iterator[str]:
    """The URL of a database with nothing applied, for this test alone."""
    yield from _dropped_afterwards(server, _new_database(server, profile, new_name()))


@pytest.fixture(scope="session")
def shared_db(server: Cluster, clone: Callable[[], str]) -> Iterator[str]:
    """The URL of a migrated database that this worker's tests share; commit nothing there."""
    yield from _dropped_afterwards(server, clone())


@pytest.fixture(scope="module")
def module_db(server: Cluster, clone: Callable[[], str]) -> Iterator[str]:
    """The URL of a migrated database that the module's tests share; each has people of its own."""
    yield from _dropped_afterwards(server, clone())


@pytest.fixture(scope="session")
def pgtap_database(server: Cluster, clone: Callable[[], str]) -> Iterator[str]:
    """The URL of a migrated database with pgTAP, for the plugin's SQL tests."""
    url = clone()
    with server.admin(conninfo_to_dict(url)["dbname"]) as conn:  # who migrates may not load it
        loader.ensure(conn)
    yield from _dropped_afterwards(server, url)


@pytest.fixture
def empty_cron_db(
    server: Cluster, run: Run, profile: profiles.Profile, new_name: Callable[[], str]
) -> Iterator[str]:
    """The URL of a database with nothing applied where cron jobs can be scheduled.

    The real pg_cron's, which one test at a time has; or, on a server without, one with the
    compat layer.
    """
    name = server.cron_database
    if not name:
        url = _new_database(server, profile, new_name())
        with psycopg.connect(url) as conn:
            install(conn)
        yield from _dropped_afterwards(server, url)
        return
    if name != servers.CRON_DATABASE:
        pytest.skip(f"pg_cron lives in a database that is not the tests' to drop: {name}")
    with run.exclusive("cron"):
        server.drop(name)
        yield from _dropped_afterwards(server, _new_database(server, profile, name))


@pytest.fixture
def cron_db(empty_cron_db: str) -> str:
    """The URL of a migrated database where cron jobs are scheduled."""
    migrate.apply(empty_cron_db)
    return empty_cron_db


# --- connections ----------------------------------------------------------------------------------


@pytest.fixture
def connect() -> Iterator[Callable[..., psycopg.Connection[Any]]]:
    """Connect to a URL, as a client role and a user when asked; closed when the test ends."""
    opened: list[psycopg.Connection[Any]] = []

    def make(
        url: str,
        *,
        role: str | None = None,
        user_id: Any = None,
        claims: dict[str, Any] | None = None,
        **options: Any,
    ) -> psycopg.Connection[Any]:
        connection = psycopg.connect(url, **({"autocommit": True} | options))
        opened.append(connection)
        if user_id and claims is None:
            claims = {"sub": str(user_id), "role": role}
        if claims is not None:
            setting = "select set_config('request.jwt.claims', %s, false)"
            connection.execute(setting, [json.dumps(claims)])
        if role:
            connection.execute("select set_config('role', %s, false)", [role])
        if not connection.autocommit:
            connection.commit()
        return connection

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def conn(shared_db: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection inside a transaction that is rolled back."""
    with psycopg.connect(shared_db) as connection:
        yield connection
        connection.rollback()


@pytest.fixture(scope="session")
def pooled_url(
    server: Cluster, run: Run, pytestconfig: pytest.Config
) -> Iterator[Callable[[str], str]]:
    """Turn a database's URL into one through pgbouncer in transaction mode."""
    if not servers.pgbouncer_program():
        pytest.skip("pgbouncer is not installed")
    worker = getattr(pytestconfig, "workerinput", {}).get("workerid", "main")
    with servers.pgbouncer(server, run.folder, f"pooler-{worker}") as pooled:
        yield pooled
