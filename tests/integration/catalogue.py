"""What the database's catalogue says there is to attack: RPCs, their arguments, tables, columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql
from rendio import sqlfiles
from rpc import Connection, value

# Known before there is a server, so that each RPC is a test of its own. The tests compare it with
# pg_proc.
RPC_FILES = sorted(path.stem for path in sqlfiles.root().glob("functions/*/*.sql"))
CLIENTS = ("anon", "authenticated")


@dataclass(frozen=True)
class Argument:
    name: str
    type: str
    has_default: bool


@dataclass(frozen=True)
class Rpc:
    """A function that clients or the service may call."""

    name: str
    arguments: tuple[Argument, ...]
    returns_set: bool
    callers: frozenset[str]  # roles that may execute it

    @property
    def about_a_user(self) -> bool:
        return any(argument.name == "p_user_id" for argument in self.arguments)


@dataclass(frozen=True)
class Table:
    schema: str
    name: str
    columns: tuple[str, ...]
    is_partition: bool
    is_view: bool

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def rpcs(conn: Connection) -> list[Rpc]:
    """Return every function of ours in public."""
    rows = conn.execute(
        """
        select
            p.proname,
            p.proretset,
            array(
                select format_type(t, null) from unnest(p.proargtypes) with ordinality as a (t, n)
                order by n
            ),
            coalesce(p.proargnames[1:p.pronargs], '{}'),
            p.pronargs - p.pronargdefaults,
            array(
                select r from unnest(array['anon', 'authenticated', 'service_role']) as r
                where has_function_privilege(r, p.oid, 'execute')
            )
        from pg_catalog.pg_proc as p
        where p.pronamespace = 'public'::regnamespace
            and p.proowner = 'rendio_owner'::regrole
            and p.prokind = 'f'
        order by p.proname, p.pronargs
        """
    )
    return [
        Rpc(
            name,
            tuple(
                Argument(argument, type_, n >= required)
                for n, (argument, type_) in enumerate(zip(names, types, strict=True))
            ),
            returns_set,
            frozenset(callers),
        )
        for name, returns_set, types, names, required, callers in rows
    ]


def helpers(conn: Connection) -> list[tuple[str, list[str]]]:
    """Return every function of the engine room that a statement can call, and its arguments."""
    rows = conn.execute(
        """
        select p.proname, array(
            select format_type(t, null) from unnest(p.proargtypes) with ordinality as a (t, n)
            order by n
        )
        from pg_catalog.pg_proc as p
        where p.pronamespace = 'rendio'::regnamespace
            and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
        """
    )
    return rows.fetchall()


def tables(conn: Connection) -> list[Table]:
    """Return every table of ours, partitioned ones, partitions and views included."""
    rows = conn.execute(
        """
        select n.nspname, c.relname, array_agg(a.attname order by a.attnum), c.relispartition,
            c.relkind in ('v', 'm')
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        join pg_catalog.pg_attribute as a on a.attrelid = c.oid
        where c.relkind in ('r', 'p', 'v', 'm', 'f')
            and c.relowner = 'rendio_owner'::regrole
            and n.nspname in ('public', 'rendio')
            and a.attnum > 0 and not a.attisdropped
        group by n.nspname, c.relname, c.relispartition, c.relkind
        order by n.nspname, c.relname
        """
    )
    return [Table(schema, name, tuple(columns), *kind) for schema, name, columns, *kind in rows]


def digest(conn: Connection, of: Sequence[Table]) -> dict[str, str]:
    """Return a fingerprint of each table's rows; the connection may read them all."""
    query = sql.SQL("select md5(string_agg(t::text, ' ' order by t::text)) from {} as t")
    return {str(table): value(conn, query.format(table.identifier)) for table in of}
