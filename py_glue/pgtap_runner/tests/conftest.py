"""Fixtures: empty databases on a throw-away server, which PGTAP_RUNNER_TEST_URL names.

The URL is a superuser's. pgTAP must be installed on the server or its script on this machine.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from pgtap_runner import loader
from pgtap_runner.session import connect
from pgtap_runner.template import drop
from psycopg.conninfo import conninfo_to_dict, make_conninfo

pytest_plugins = ["pytester"]

# Tests go to the server named here and nowhere else.
for _name in list(os.environ):
    if _name == "DATABASE_URL" or (_name.startswith("PG") and not _name.startswith("PGTAP_")):
        del os.environ[_name]


@pytest.fixture(scope="session")
def server() -> str:
    url = os.environ.get("PGTAP_RUNNER_TEST_URL")
    if not url:
        pytest.fail(
            "set PGTAP_RUNNER_TEST_URL to a superuser's URL on a throw-away server", pytrace=False
        )
    return url


@pytest.fixture(scope="session")
def new_database(server: str) -> Iterator[Callable[[], str]]:
    """Create empty databases; all are dropped at the end."""
    made = []
    with closing(connect(server)) as admin:

        def create() -> str:
            name = f"pgtap_test_{uuid.uuid4().hex[:12]}"
            admin.execute(f"create database {name} template template0")
            made.append(name)
            return make_conninfo(server, dbname=name)

        yield create
        for name in made:
            drop(admin, name)


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """The superuser's URL of an empty database."""
    return new_database()


@pytest.fixture(scope="session")
def tap_database(new_database: Callable[[], str]) -> Iterator[str]:
    """The superuser's URL of a database that has pgTAP for as long as the session runs."""
    url = new_database()
    with loader.loaded(url):
        yield url


@pytest.fixture
def libpq_environment(tap_database: str) -> dict[str, str]:
    """The PG* variables that lead to ``tap_database``."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    parts = conninfo_to_dict(tap_database)
    return {names.get(key, "PGDATABASE"): str(value) for key, value in parts.items()}


@pytest.fixture(scope="session")
def psql() -> str:
    """The path of psql, which pg_prove calls."""
    found = os.environ.get("PGTAP_RUNNER_TEST_PSQL") or shutil.which("psql")
    if not found:
        pytest.skip("psql is not installed")
    return found
