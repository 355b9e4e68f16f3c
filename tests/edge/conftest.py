"""A server on a loopback port, in a thread of its own, over a copy of the template database."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from edge_server import Edge, running
from psycopg.conninfo import conninfo_to_dict
from servers import Cluster


@pytest.fixture(scope="module")
def edge_db(server: Cluster, clone: Callable[[], str]) -> Iterator[str]:
    """The URL of a migrated database that a module's tests share; each makes its own users.

    Without rate limits: they would stop the tests, which all come from one address.
    """
    url = clone()
    with psycopg.connect(url) as conn:
        conn.execute("update public.app_settings set value = 'false' where key = 'rate_limits'")
    yield url
    server.drop(str(conninfo_to_dict(url)["dbname"]))


@pytest.fixture(scope="module")
def edge(edge_db: str) -> Iterator[Edge]:
    """A server with a secret of its own and none of Apple's keys."""
    with running(edge_db) as found:
        yield found


@pytest.fixture
def start(edge_db: str) -> Iterator[Callable[..., Edge]]:
    """Start one more server over the module's database, with other settings."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running(edge_db, **settings))


@pytest.fixture(scope="module")
def owner(edge_db: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the owner of the tables, to look at what was written."""
    with psycopg.connect(edge_db, autocommit=True) as conn:
        conn.execute("set role rendio_owner")
        yield conn
