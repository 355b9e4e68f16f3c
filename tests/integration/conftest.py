"""Fixtures: the app's calls on a database of the module's, and a small release for migrations."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from migrate_trees import Release
from profiles import Profile
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from rpc import App
from servers import Cluster


@pytest.fixture(scope="module")
def module_app(module_db: str) -> Iterator[App]:
    with App(module_db) as app:
        yield app


@pytest.fixture(scope="module")
def blamed() -> set[Any]:
    """Discrepancies that a test has failed for; the tests after it do not fail for them too."""
    return set()


@pytest.fixture
def app(module_app: App, blamed: set[Any]) -> Iterator[App]:
    """The module's database, where the books agree when the test ends."""
    yield module_app
    found = set(module_app.discrepancies()) - blamed
    blamed |= found
    assert found == set()


# --- migrations -----------------------------------------------------------------------------------


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path / "release")


@pytest.fixture(scope="session")
def small_template(
    server: Cluster,
    profile: Profile,
    new_name: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The URL of a database with the small release, to make copies of."""
    url = profile.create_database(server.superuser_url, new_name())
    Release(tmp_path_factory.mktemp("small")).apply(url)
    yield url
    server.drop(str(conninfo_to_dict(url)["dbname"]))


@pytest.fixture
def applied(server: Cluster, small_template: str, new_name: Callable[[], str]) -> Iterator[str]:
    """The URL of a database that the small release was applied to."""
    template = conninfo_to_dict(small_template)
    name, login = new_name(), str(template["user"])
    server.create(name, str(template["dbname"]), owner=login)
    yield server.url(name, login)
    server.drop(name)


@pytest.fixture
def deployer_db(server: Cluster, empty_db: str) -> Iterator[str]:
    """The URL of an empty database whose owner is no superuser but may create roles.

    Roles are cluster-wide: where an earlier apply has made ours, an administrator lets it join.
    """
    dbname = conninfo_to_dict(empty_db)["dbname"]
    login = f"{dbname}_deployer"
    role, database = sql.Identifier(login), sql.Identifier(dbname)
    with server.admin() as admin:
        admin.execute(sql.SQL("create role {} login createrole").format(role))
        admin.execute(sql.SQL("alter database {} owner to {}").format(database, role))
        for (ours,) in admin.execute(
            "select rolname from pg_roles where rolname in ('rendio_owner', 'service_role')"
        ).fetchall():
            admin.execute(sql.SQL("grant {} to {}").format(sql.Identifier(ours), role))
    yield server.url(dbname, login)
    server.drop(dbname)
    with server.admin() as admin:
        _drop_role(admin, role)


def _drop_role(admin: psycopg.Connection, role: sql.Identifier) -> None:
    admin.execute(sql.SQL("drop owned by {}").format(role))
    admin.execute(sql.SQL("drop role {}").format(role))


@pytest.fixture
def new_database(
    server: Cluster, profile: Profile, new_name: Callable[[], str]
) -> Iterator[Callable[[], str]]:
    """Make one more empty database of the profile's shape; dropped when the test ends."""
    made: list[str] = []

    def make() -> str:
        url = profile.create_database(server.superuser_url, new_name())
        made.append(str(conninfo_to_dict(url)["dbname"]))
        return url

    yield make
    for dbname in made:
        server.drop(dbname)
