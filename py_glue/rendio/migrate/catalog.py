"""What the database holds: our objects as text, and who owns a name we are about to take."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from psycopg import Connection

from rendio.migrate.ledger import Changes
from rendio.migrate.sqltext import Thing

Facts = dict[tuple[str, str], str]

DESCRIBE = resources.files("rendio.migrate").joinpath("describe.sql").read_text("utf-8")


def describe_objects(conn: Connection[Any], identities: Iterable[str]) -> Facts:
    """Return (object, aspect) -> definition of everything ours; see describe.sql."""
    rows = conn.execute(DESCRIBE.format(identities="%s"), [sorted(set(identities))])
    return {(thing, aspect): definition for thing, aspect, definition in rows}


def digest(definition: str) -> str:
    """A short hash; script.sql has the same expression."""
    return hashlib.sha256(definition.encode()).hexdigest()[:16]


def recorded(facts: Facts) -> dict[tuple[str, str], str]:
    """The hashes that the ledger keeps; which partitions there are changes by itself."""
    return {key: digest(text) for key, text in facts.items() if key[1] != "partitions"}


def changed(before: Mapping[tuple[str, str], str], after: Mapping[tuple[str, str], str]) -> Changes:
    """What a step did to the catalogue."""
    difference: Changes = {}
    for thing, aspect in before.keys() | after.keys():
        new = after.get((thing, aspect))
        if new != before.get((thing, aspect)):
            difference.setdefault(thing, {})[aspect] = new
    return difference


@dataclass(frozen=True)
class Found:
    """An object that has the name of one of ours."""

    thing: Thing
    identity: str
    owner: str


FIND = """\
with wanted as (
    select *
    from unnest({kinds}, {schemas}, {names}, {table_schemas}, {table_names})
        with ordinality as w (kind, schema, name, table_schema, table_name, n)
)

select w.n, f.identity, f.owner::regrole::text
from wanted as w
cross join lateral (
    select
        case c.relkind
            when 'v' then 'view '
            when 'm' then 'materialized view '
            when 'S' then 'sequence '
            when 'f' then 'foreign table '
            when 'i' then 'index '
            when 'I' then 'index '
            when 'c' then 'type '
            else 'table '
        end || c.oid::regclass::text as identity,
        c.relowner as owner
    from pg_catalog.pg_class as c
    where
        w.kind in ('table', 'view', 'materialized view', 'sequence', 'index', 'type', 'domain')
        and c.relname = w.name and c.relnamespace = pg_catalog.to_regnamespace(
            pg_catalog.quote_ident(w.schema)
        )
    union all
    select 'type ' || t.oid::regtype::text, t.typowner
    from pg_catalog.pg_type as t
    where
        w.kind in ('table', 'view', 'materialized view', 'type', 'domain')
        and t.typrelid = 0 and t.typelem = 0
        and t.typname = w.name and t.typnamespace = pg_catalog.to_regnamespace(
            pg_catalog.quote_ident(w.schema)
        )
    union all
    select
        case p.prokind when 'p' then 'procedure ' when 'a' then 'aggregate ' else 'function ' end
        || p.oid::regprocedure::text,
        p.proowner
    from pg_catalog.pg_proc as p
    where
        w.kind in ('function', 'procedure', 'aggregate')
        and p.proname = w.name and p.pronamespace = pg_catalog.to_regnamespace(
            pg_catalog.quote_ident(w.schema)
        )
    union all
    select 'schema ' || pg_catalog.quote_ident(n.nspname), n.nspowner
    from pg_catalog.pg_namespace as n
    where w.kind = 'schema' and n.nspname = w.name
    union all
    select 'publication ' || pg_catalog.quote_ident(p.pubname), p.pubowner
    from pg_catalog.pg_publication as p
    where w.kind = 'publication' and p.pubname = w.name
    union all
    select
        'policy ' || pg_catalog.quote_ident(p.polname) || ' on ' || c.oid::regclass::text,
        c.relowner
    from pg_catalog.pg_policy as p
    inner join pg_catalog.pg_class as c on c.oid = p.polrelid
    where
        w.kind = 'policy' and p.polname = w.name and c.relname = w.table_name
        and c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(w.table_schema))
    union all
    select 'trigger ' || pg_catalog.quote_ident(t.tgname) || ' on ' || c.oid::regclass::text,
        c.relowner
    from pg_catalog.pg_trigger as t
    inner join pg_catalog.pg_class as c on c.oid = t.tgrelid
    where
        w.kind = 'trigger' and t.tgname = w.name and c.relname = w.table_name
        and c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(w.table_schema))
) as f
order by w.n, f.identity
"""

COLUMNS = ("kinds", "schemas", "names", "table_schemas", "table_names")


def find(conn: Connection[Any], things: Iterable[Thing]) -> list[Found]:
    """Return what exists under these names, with its owner, whatever its kind or arguments."""
    wanted = list(dict.fromkeys(things))
    query = FIND.format(**dict.fromkeys(COLUMNS, "%s::text[]"))
    rows = conn.execute(query, list(columns(wanted)))
    return [Found(wanted[n - 1], identity, owner) for n, identity, owner in rows]


def columns(things: list[Thing]) -> tuple[list[str | None], ...]:
    """The arrays that FIND takes, in the order of COLUMNS."""
    return (
        [thing.kind for thing in things],
        [thing.name.schema for thing in things],
        [thing.name.name for thing in things],
        [thing.table.schema if thing.table else None for thing in things],
        [thing.table.name if thing.table else None for thing in things],
    )
