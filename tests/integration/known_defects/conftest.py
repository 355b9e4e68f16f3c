"""Both worlds, freshly made for each test."""

import os
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import plan as the_plan
import psycopg
import pytest
from worlds import Ours, Plan


@pytest.fixture(scope="session")
def plan_template(server: Any, template_db: str) -> Iterator[str]:
    """A database with the plans' schema and nobody in it, to be cloned.

    After ours, so that it is rendio who finds a cluster without the API roles.
    """
    name = f"plan_template_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    server.create(name)
    with psycopg.connect(server.url(name), autocommit=True) as conn:
        the_plan.load(conn, record_cron=True)
    yield name
    server.drop(name)


@pytest.fixture
def plan(server: Any, plan_template: str, connect: Callable[..., Any]) -> Iterator[Plan]:
    """The plans' schema with Alice, Bob and a model."""
    name = f"plan_{uuid4().hex[:12]}"
    server.create(name, template=plan_template)
    yield Plan(server.url(name), connect)
    server.drop(name)


@pytest.fixture
def ours(db: str, connect: Callable[..., Any]) -> Ours:
    """What rendio applies, with the same Alice, Bob and model."""
    return Ours(db, connect)
