"""``rendio.migrations``: what was applied, with which text, and what came of it."""

import json
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

OWNER = "rendio_owner"
TABLE = "rendio.migrations"

# object -> aspect -> hash of the definition; a null says that the aspect was removed.
Fingerprint = dict[str, dict[str, str | None]]


@dataclass(frozen=True)
class Row:
    """What the ledger says of one file."""

    path: str
    checksum: str
    state: str
    defines: list[str] = field(default_factory=list)
    fingerprint: Fingerprint = field(default_factory=dict)
    release: str = ""
    applied_by: str = ""


def owner(conn: Connection[Any]) -> str | None:
    """Who owns the table of this name; None without one. Needs no right on the schema."""
    row = conn.execute(
        """
        select c.relowner::regrole::text
        from pg_catalog.pg_class as c
        inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = 'rendio' and c.relname = 'migrations'
        """
    ).fetchone()
    return str(row[0]) if row else None


def read(conn: Connection[Any]) -> dict[str, Row]:
    """Return the ledger in the order in which its rows were written."""
    rows = conn.execute(
        """
        select path, checksum, state, defines, fingerprint, release, applied_by::text
        from rendio.migrations
        order by finished_at nulls last, path
        """
    )
    return {
        path: Row(path, checksum, state, defines, json.loads(fingerprint or "{}"), release, by)
        for path, checksum, state, defines, fingerprint, release, by in rows
    }


# Also printed by `plan --sql`: one text for both ways of applying.
WRITE = """\
insert into rendio.migrations as m
    (path, checksum, state, defines, fingerprint, release, applied_by, started_at, finished_at)
values
    ({path}, {checksum}, {state}, {defines}, {fingerprint}, {release}, session_user,
     pg_catalog.now(), {finished_at})
on conflict (path) do update set
    checksum = excluded.checksum,
    state = excluded.state,
    defines = excluded.defines,
    fingerprint = excluded.fingerprint,
    release = excluded.release,
    applied_by = excluded.applied_by,
    started_at = excluded.started_at,
    finished_at = excluded.finished_at"""

_WRITE = WRITE.format(
    path="%(path)s",
    checksum="%(checksum)s",
    state="%(state)s",
    defines="%(defines)s::text[]",
    fingerprint="%(fingerprint)s::jsonb::text",
    release="%(release)s",
    finished_at="case %(state)s when 'running' then null else pg_catalog.clock_timestamp() end",
)


def write(conn: Connection[Any], row: Row) -> None:
    """Insert or replace a row, as the owner of the ledger."""
    conn.execute(
        _WRITE,
        {
            "path": row.path,
            "checksum": row.checksum,
            "state": row.state,
            "defines": sorted(row.defines),
            "fingerprint": json.dumps(row.fingerprint),
            "release": row.release,
        },
    )


def forget(conn: Connection[Any], path: str) -> None:
    """Take out the row of a repeatable file that is gone, and so are its objects."""
    conn.execute("delete from rendio.migrations where path = %s", [path])


def expected(rows: dict[str, Row]) -> Fingerprint:
    """Fold the rows, oldest first, into the catalogue that they should have left."""
    facts: Fingerprint = {}
    for row in rows.values():
        for thing, aspects in row.fingerprint.items():
            known = facts.setdefault(thing, {})
            for aspect, digest in aspects.items():
                if digest is None:
                    known.pop(aspect, None)
                else:
                    known[aspect] = digest
    return {thing: aspects for thing, aspects in facts.items() if aspects}
