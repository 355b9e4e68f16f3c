"""A database of each worker's own: migrated once per run, copied from there, dropped at the end.

Every worker holds a shared lock named after the run for as long as it lives. Whoever gets it alone
is the last one and drops the template; what a killed run left is found by its free lock. Locks are
those of the database that the URL names, so a comment on each database says which that is.
"""

import contextlib
import importlib
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

from psycopg import sql
from psycopg.pq import Conninfo

from .session import Connection, as_url, connect

_OUTPUT = 4000  # characters of a failed migration's output to show


class MigrationFailed(Exception):
    """The migration's command did not succeed; the message is its command and output."""


@contextlib.contextmanager
def copy_of_template(
    conninfo: str, migration: str, run: str, worker: str, folder: Path
) -> Iterator[str]:
    """Yield the URL of a new database that the migration was applied to.

    ``conninfo`` names a database of the server whose role may create databases; ``migration`` is
    ``module:function``, called with the URL, or a command, run in ``folder``; ``run``
    and ``worker`` are a few letters and digits. Raises ``MigrationFailed``.
    """
    name = f"pgtap_{run}_{worker}"
    template = f"pgtap_{run}_template"
    with contextlib.closing(connect(conninfo)) as server:
        _lock(server, "pg_advisory_lock_shared", run)
        try:
            with _alone(server, f"{run} template"):
                _drop_leftovers(server)
                if not _exists(server, template):
                    _build(server, conninfo, template, migration, run, folder)
                _create(server, name, run, template)
                copy_properties(server, template, name)
            yield as_url(conninfo, dbname=name)
        finally:
            drop(server, name)
            _lock(server, "pg_advisory_unlock_shared", run)
            with _alone(server, f"{run} template"):
                _drop_leftovers(server)


def copy_properties(connection: Connection, source: str, target: str) -> None:
    """Copy what a template does not pass on: privileges on the database, and its settings."""
    statements = connection.execute(
        """
        with asked as (select %s::text as target, d.* from pg_database d where datname = %s)
        select format('revoke all on database %%I from public', target)
        from asked where datacl is not null
        union all
        select format('grant %%s on database %%I to %%s', acl.privilege_type, target,
            case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end)
        from asked, aclexplode(datacl) acl
        union all
        select format('alter %%s database %%I set %%s = %%s',
            case setrole when 0 then '' else 'role ' || setrole::regrole::text || ' in' end,
            target, name, case name when 'search_path' then value else quote_literal(value) end)
        from asked join pg_db_role_setting on setdatabase = oid,
            unnest(setconfig) pair, split_part(pair, '=', 1) name,
            substr(pair, strpos(pair, '=') + 1) value
        """,
        [target, source],
    ).fetchall()
    for (statement,) in statements:
        connection.execute(statement)


def drop(connection: Connection, name: str) -> None:
    """Drop a database and whoever is still connected to it."""
    identifier = sql.Identifier(name)
    connection.execute(sql.SQL("drop database if exists {} with (force)").format(identifier))


def _build(
    server: Connection, conninfo: str, template: str, migration: str, run: str, folder: Path
) -> None:
    building = f"{template}_building"
    drop(server, building)
    _create(server, building, run)
    try:
        _migrate(migration, as_url(conninfo, dbname=building), folder)
    except BaseException:
        drop(server, building)
        raise
    # A migration may have left a pool open; a template has no guests.
    server.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s",
        [building],
    )
    rename = sql.SQL("alter database {} rename to {}")
    server.execute(rename.format(sql.Identifier(building), sql.Identifier(template)))


def _migrate(migration: str, url: str, folder: Path) -> None:
    module, colon, function = migration.partition(":")
    if colon and module.replace(".", "").isidentifier() and function.isidentifier():
        getattr(importlib.import_module(module), function)(url)
        return
    command = [word.replace("{url}", url) for word in shlex.split(migration)]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=_environment(url),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except OSError as error:
        raise MigrationFailed(f"{migration}: {error.strerror}") from None
    if done.returncode:
        raise MigrationFailed(f"{migration}: exit {done.returncode}\n{done.stdout[-_OUTPUT:]}")


def _environment(url: str) -> dict[str, str]:
    """Return this environment pointed at one database, whichever variables a tool reads."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    for option in Conninfo.parse(url.encode()):
        if option.envvar and option.val:
            kept[option.envvar.decode()] = option.val.decode()
    return kept | {"DATABASE_URL": url}


def _create(server: Connection, name: str, run: str, template: str = "template1") -> None:
    identifier = sql.Identifier(name)
    server.execute(
        sql.SQL("create database {} template {}").format(identifier, sql.Identifier(template))
    )
    server.execute(
        sql.SQL("comment on database {} is {}").format(identifier, sql.Literal(_mark(server) + run))
    )


def _exists(server: Connection, name: str) -> bool:
    found = server.execute("select from pg_database where datname = %s", [name])
    return found.rowcount > 0


def _drop_leftovers(server: Connection) -> None:
    """Drop the databases of runs that no worker of lives any more."""
    mark = _mark(server)
    rows = server.execute(
        "select datname, substr(shobj_description(oid, 'pg_database'), %s) from pg_database"
        " where starts_with(shobj_description(oid, 'pg_database'), %s)",
        [len(mark) + 1, mark],
    ).fetchall()
    for name, run in rows:
        if _lock(server, "pg_try_advisory_lock", run):
            drop(server, name)
            _lock(server, "pg_advisory_unlock", run)


def _mark(server: Connection) -> str:
    return f"made by pgtap_runner, locked in {server.info.dbname}, for run "


def _lock(server: Connection, function: str, name: str) -> bool:
    row = server.execute(
        sql.SQL("select pg_catalog.{}(pg_catalog.hashtextextended(%s, 0))").format(
            sql.Identifier(function)
        ),
        [f"pgtap_runner run {name}"],
    ).fetchone()
    return row is not None and row[0] is True


@contextlib.contextmanager
def _alone(server: Connection, name: str) -> Iterator[None]:
    _lock(server, "pg_advisory_lock", name)
    try:
        yield
    finally:
        _lock(server, "pg_advisory_unlock", name)
