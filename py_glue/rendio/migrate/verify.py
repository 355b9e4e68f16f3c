"""The catalogue beside a fresh build of the same files."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import conninfo, sql

from rendio import sqlfiles
from rendio.migrate import catalog, message, session
from rendio.migrate.apply import apply
from rendio.migrate.drift import Difference
from rendio.migrate.errors import MigrateError
from rendio.migrate.files import Tree, read_tree
from rendio.migrate.preflight import PUBLICATION, release_key
from rendio.migrate.session import Conn, one
from rendio.migrate.steps import State, read_state


def verify(url: str, root: Path | None = None, *, scratch: str | None = None) -> list[Difference]:
    """Build the files into a fresh database and compare both catalogues.

    The database is made on the server of ``scratch``, else beside this one; where this login may
    not do that, on a server of the same version that is started for it, if one is installed.
    """
    tree = read_tree(root or sqlfiles.root())
    with (
        closing(session.connect(url, f"rendio verify {tree.release}")) as conn,
        message.explained(),
    ):
        state = read_state(conn)
        if not state.rows:
            raise MigrateError("Nothing is applied to this database; run `rendio apply` first.")
        newest = max((row.release for row in state.rows.values()), key=release_key)
        if newest != tree.release:
            raise MigrateError(
                f"The database is at rendio {newest}, these files are {tree.release}:"
                " compare with the same release."
            )
        with _fresh_database(conn, url, scratch) as fresh:
            apply(fresh, tree.root)
            with closing(session.connect(fresh, "rendio verify")) as other:
                built = read_state(other)
    optional = _optional(tree, state) | _optional(tree, built)
    return list(_between(state.facts, built.facts, optional))


def _optional(tree: Tree, state: State) -> set[str]:
    """What is made only where a table of somebody else is, which one of the two may not have."""
    rows = (state.rows.get(file.path) for file in tree.policies if file.where)
    return {identity for row in rows if row for identity in row.defines}


@contextmanager
def _fresh_database(conn: Conn, url: str, scratch: str | None) -> Iterator[str]:
    """The URL of an empty database, gone afterwards."""
    may = one(
        conn,
        "select r.rolsuper or r.rolcreatedb from pg_catalog.pg_roles as r"
        " where r.rolname = current_user",
    )
    if scratch or may:
        with _database_on(scratch or url) as fresh:
            yield fresh
        return
    with _server_like(conn) as started, _database_on(started) as fresh:
        yield fresh


@contextmanager
def _database_on(url: str) -> Iterator[str]:
    name = f"rendio_verify_{secrets.token_hex(4)}"
    database = sql.Identifier(name)
    with closing(session.connect(url, "rendio verify")) as admin:
        admin.execute(sql.SQL("create database {} template template0").format(database))
        try:
            yield conninfo.make_conninfo(url, dbname=name)
        finally:
            with suppress(psycopg.Error):
                admin.execute(sql.SQL("drop database if exists {} with (force)").format(database))


@contextmanager
def _server_like(conn: Conn) -> Iterator[str]:
    """A server of this major version; another one would print the same catalogue differently."""
    from rendio.embedded import EmbeddedError, Server, carrier_binaries, system_binaries

    major = conn.info.server_version // 10000
    bin_dir: Path | None = None
    for find in (system_binaries, carrier_binaries):
        with suppress(EmbeddedError):
            bin_dir = bin_dir or find(major)
    if bin_dir is None:
        login = one(conn, "select current_user::regrole::text")
        raise MigrateError(
            f"{login} may not create a database to compare with, and no PostgreSQL {major} is"
            f" installed here to build one on. Grant it for the moment (alter role {login}"
            " createdb), or pass --scratch URL of another server."
        )
    folder = Path(tempfile.gettempdir()) / f"rendio-verify-{secrets.token_hex(4)}"
    server = Server(bin_dir, folder / "data", settings={"fsync": "off"})
    try:
        yield server.ensure_started().url("postgres")
    except EmbeddedError as error:
        raise MigrateError(str(error)) from error
    finally:
        with suppress(EmbeddedError, OSError):
            server.remove()
            folder.rmdir()


def _between(here: catalog.Facts, built: catalog.Facts, optional: set[str]) -> Iterator[Difference]:
    """Supabase's own auth functions and publication are not ours, and a fresh build has its own."""
    things = {thing for thing, _ in here} | {thing for thing, _ in built}
    for thing in sorted(things):
        found = {aspect: text for (other, aspect), text in here.items() if other == thing}
        wanted = {aspect: text for (other, aspect), text in built.items() if other == thing}
        if not (found and wanted):
            if not _is_supabase_s(thing) and thing not in optional:
                problem = "is missing" if wanted else "is not in a fresh build"
                yield Difference(thing, "", problem)
            continue
        for aspect in sorted(found.keys() | wanted.keys()):
            if found.get(aspect) == wanted.get(aspect):
                continue
            problem = (
                "is missing"
                if aspect not in found
                else "is not in a fresh build"
                if aspect not in wanted
                else "differs from a fresh build"
            )
            yield Difference(thing, aspect, problem, now=found.get(aspect, ""))


def _is_supabase_s(thing: str) -> bool:
    return thing in (f"publication {PUBLICATION}", "schema auth") or thing.startswith(
        "function auth."
    )
