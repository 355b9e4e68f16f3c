"""``rendio.migrations``: what was applied, with which text, and what came of it."""

import json
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

OWNER = "rendio_owner"
TABLE = "rendio.migrations"

# object -> aspect -> hash of the definition. Each aspect is kept in one row only, that of the file
# which wrote it last; so all rows together are the catalogue as applies have left it.
Fingerprint = dict[str, dict[str, str]]
# What a step did to it; None where an aspect is gone.
Changes = dict[str, dict[str, str | None]]


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
    """Return the ledger by path."""
    rows = conn.execute(
        """
        select path, checksum, state, defines, fingerprint, release, applied_by::text
        from rendio.migrations
        order by path
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


def rewrite(conn: Connection[Any], path: str, fingerprint: Fingerprint) -> None:
    """Change what a row keeps of the catalogue, and nothing else."""
    conn.execute(
        "update rendio.migrations set fingerprint = %s::jsonb::text where path = %s",
        [json.dumps(fingerprint), path],
    )


def forget(conn: Connection[Any], path: str) -> None:
    """Take out the row of a repeatable file that is gone."""
    conn.execute("delete from rendio.migrations where path = %s", [path])


def attribute(rows: dict[str, Row], path: str, changes: Changes) -> dict[str, Fingerprint]:
    """Give what changed to the row of this file, and take it from the others.

    Returns the new fingerprints of the rows concerned, always including this one's.
    """
    result = {}
    for other, row in rows.items():
        kept = _without(row.fingerprint, changes)
        if kept != row.fingerprint:
            result[other] = kept
    own = result.get(path, rows[path].fingerprint if path in rows else {})
    result[path] = merged(own, changes)
    return result


def bequeath(rows: dict[str, Row], gone: tuple[str, ...]) -> dict[str, Fingerprint]:
    """Give what the rows of vanished files still keep to the rows that define the objects now."""
    left = {path: row for path, row in rows.items() if path not in gone}
    result: dict[str, Fingerprint] = {}
    for path in gone:
        for thing, aspects in rows[path].fingerprint.items():
            heir = min((p for p, row in left.items() if thing in row.defines), default=min(left))
            old = result.get(heir, left[heir].fingerprint)
            result[heir] = merged(old, {thing: dict(aspects)})
    return result


def _without(fingerprint: Fingerprint, changes: Changes) -> Fingerprint:
    kept = {
        thing: {a: digest for a, digest in aspects.items() if a not in changes.get(thing, {})}
        for thing, aspects in fingerprint.items()
    }
    return {thing: aspects for thing, aspects in kept.items() if aspects}


def merged(fingerprint: Fingerprint, changes: Changes) -> Fingerprint:
    """A fingerprint with what changed put over it."""
    result = _without(fingerprint, changes)
    for thing, aspects in changes.items():
        new = {aspect: digest for aspect, digest in aspects.items() if digest is not None}
        if new:
            result[thing] = {**result.get(thing, {}), **new}
    return result


def expected(rows: dict[str, Row]) -> Fingerprint:
    """The catalogue as applies have left it."""
    facts: Fingerprint = {}
    for row in rows.values():
        facts = merged(facts, {thing: dict(aspects) for thing, aspects in row.fingerprint.items()})
    return facts
