"""Fixtures: databases on a server to test on.

PG_CRON_COMPAT_TEST_URL names a superuser on a server where databases and roles may be made.
PG_CRON_COMPAT_TEST_REAL_URL names an empty database in which pg_cron can be created, if there is
one: then what a test asks of our API is asked of pg_cron too.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from pg_cron_compat.install import install
from psycopg import sql
from psycopg.conninfo import make_conninfo
from runners import RunnerProcess

Connect = Callable[..., psycopg.Connection[Any]]


@pytest.fixture(scope="session")
def server_url() -> str:
    url = os.environ.get("PG_CRON_COMPAT_TEST_URL")
    if not url:
        pytest.fail("set PG_CRON_COMPAT_TEST_URL to the URL of a superuser", pytrace=False)
    return url


@pytest.fixture
def empty_url(server_url: str, role: Callable[..., str]) -> Iterator[str]:
    """The URL of an empty database, for this test alone; it goes before the roles do."""
    yield from _database(server_url)


@pytest.fixture
def url(empty_url: str) -> str:
    """The URL of a database with the compat layer, for this test alone."""
    _install(empty_url)
    return empty_url


@pytest.fixture(scope="module")
def shared_url(server_url: str) -> Iterator[str]:
    """The URL of a database with the compat layer that a module's tests share."""
    for url in _database(server_url):
        _install(url)
        yield url


@pytest.fixture
def conn(shared_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection, rolled back."""
    with psycopg.connect(shared_url) as conn:
        yield conn
        conn.rollback()


@pytest.fixture
def role(server_url: str) -> Iterator[Callable[..., str]]:
    """Make a role that can log in, or not; dropped afterwards with what it has on the server."""
    made: list[str] = []

    def make(options: str = "login") -> str:
        name = f"compat_test_{secrets.token_hex(4)}"
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute(sql.SQL("create role {} " + options).format(sql.Identifier(name)))
        made.append(name)
        return name

    yield make
    with psycopg.connect(server_url, autocommit=True) as admin:
        for name in made:
            admin.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(name)))


def _database(server_url: str) -> Iterator[str]:
    name = f"compat_test_{secrets.token_hex(4)}"
    identifier = sql.Identifier(name)
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(identifier))
        yield make_conninfo(server_url, dbname=name)
        admin.execute(sql.SQL("drop database {} with (force)").format(identifier))


def _install(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        install(conn)


@pytest.fixture
def run() -> Iterator[Callable[..., RunnerProcess]]:
    """Start runners; they are killed when the test ends."""
    started: list[RunnerProcess] = []

    def start(url: str, *options: str) -> RunnerProcess:
        started.append(RunnerProcess(url, *options))
        return started[-1]

    yield start
    for runner in started:
        runner.end()
