"""Roles of the cluster: what the login lacks, and which roles can do more than our grants say."""

from collections.abc import Iterator
from dataclasses import dataclass

from rendio.migrate.ledger import OWNER
from rendio.migrate.session import Conn, one

CLIENT_ROLES = ("anon", "authenticated")
API_ROLES = (*CLIENT_ROLES, "service_role")


# --- what the foundation needs of the login -------------------------------------------------------


def lacking(conn: Conn) -> Iterator[str]:
    """Rights that the login has to be given, each with the line that gives it."""
    login = one(conn, "select current_user::regrole::text")
    here = one(conn, "select pg_catalog.quote_ident(pg_catalog.current_database())")
    if not one(
        conn, "select pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create')"
    ):
        yield (
            f"{login} may not create schemas: as the owner of the database,"
            f" grant create on database {here} to {login};"
        )
    if not one(
        conn, "select pg_catalog.has_schema_privilege('public', 'create with grant option')"
    ):
        yield (
            f"{login} may not let {OWNER} create in schema public: as its owner,"
            f" grant usage, create on schema public to {login} with grant option;"
        )
    yield from _lacking_of_roles(conn, login)


def _lacking_of_roles(conn: Conn, login: str) -> Iterator[str]:
    superuser, creates = conn.execute(
        "select r.rolsuper, r.rolcreaterole from pg_catalog.pg_roles as r"
        " where r.rolname = current_user"
    ).fetchone() or (False, False)
    if superuser:
        return
    existing = {
        name
        for (name,) in conn.execute(
            "select r.rolname from pg_catalog.pg_roles as r where r.rolname = any(%s)",
            [[OWNER, *API_ROLES]],
        )
    }
    missing = [role for role in (OWNER, *API_ROLES) if role not in existing]
    if missing and not creates:
        yield (
            f"{login} may not create the roles {', '.join(missing)}: as an administrator,"
            f" alter role {login} createrole; or create them (nologin)"
        )
    for role in (OWNER, "service_role"):
        if role in existing and not _may_join(conn, role, creates):
            yield f"{login} is no member of {role}: as an administrator, grant {role} to {login};"


def _may_join(conn: Conn, role: str, creates: bool) -> bool:
    """Member already, or able to grant the role to itself."""
    version = conn.info.server_version
    how = "set" if version >= 160000 else "member"
    if one(conn, "select pg_catalog.pg_has_role(%s, %s)", [role, how]):
        return True
    if version < 160000 and creates:
        return True
    return bool(one(conn, "select pg_catalog.pg_has_role(%s, 'member with admin option')", [role]))


# --- who could pass by grants and row security ----------------------------------------------------


@dataclass(frozen=True)
class Danger:
    """What a role is that it must not be, and the line that ends it."""

    role: str
    problem: str
    remedy: str


def dangers(conn: Conn) -> Iterator[Danger]:
    """Roles made by others, which are cluster-wide, that make our privileges void.

    What Supabase has is none of it: service_role passes row security, and the logins authenticator
    and postgres are members of the API roles, not the reverse. That the owner can log in is none
    either: databases that are spread over servers need it.
    """
    yield from _attributes(conn)
    yield from _memberships(conn)


def _attributes(conn: Conn) -> Iterator[Danger]:
    rows = conn.execute(
        """
        select r.oid::regrole::text, r.rolname = %(owner)s, a.attribute
        from pg_catalog.pg_roles as r
        cross join lateral (
            values
            ('superuser', r.rolsuper),
            ('bypassrls', r.rolbypassrls),
            ('createrole', r.rolcreaterole),
            ('createdb', r.rolcreatedb and r.rolname = %(owner)s),
            ('replication', r.rolreplication and r.rolname = %(owner)s)
        ) as a (attribute, is_held)
        where r.rolname = any(%(roles)s) and a.is_held
        order by 1, 3
        """,
        {"owner": OWNER, "roles": [OWNER, *CLIENT_ROLES]},
    )
    for role, is_owner, attribute in rows:
        reach = "our functions run with its rights" if is_owner else "every client acts as it"
        yield Danger(role, f"is {attribute}, and {reach}", f"alter role {role} no{attribute};")


def _memberships(conn: Conn) -> Iterator[Danger]:
    """What clients are members of, by inheritance, by `set role` or by a grant to themselves.

    Named is the first grant on the way: a later one may be there for somebody else. Since
    PostgreSQL 16 the same may be granted several times, and is revoked from each grantor by name.
    """
    rows = conn.execute(
        """
        select
            c.oid::regrole::text, g.oid::regrole::text, m.grantor::regrole::text,
            pg_catalog.array_agg(t.oid::regrole::text order by t.rolname)
        from pg_catalog.pg_roles as c
        inner join pg_catalog.pg_auth_members as m on m.member = c.oid
        inner join pg_catalog.pg_roles as g on g.oid = m.roleid
        inner join pg_catalog.pg_roles as t on pg_catalog.pg_has_role(g.oid, t.oid, 'member')
        where
            c.rolname = any(%s)
            and (t.rolname = any(%s) or t.rolsuper or t.rolbypassrls or t.rolcreaterole)
            and (t.oid = g.oid or not g.rolsuper)  -- who is said to be a member of every role
        group by c.oid, g.oid, m.grantor
        order by 1, 2, 3
        """,
        [[*CLIENT_ROLES], [OWNER, "service_role"]],
    )
    for role, granted, grantor, reached in rows:
        by = f" granted by {grantor}" if conn.info.server_version >= 160000 else ""
        yield Danger(
            role,
            f"is a member of {granted}, and so every client can act as {', '.join(reached)}",
            f"revoke {granted} from {role}{by};",
        )
