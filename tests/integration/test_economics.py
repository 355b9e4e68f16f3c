"""Nothing that a client role can say to the database moves credits, prices or tiers.

Tables, partitions, columns and functions come from the catalogue. Each statement is tried, as the
user whose rows are at hand, and what the tables hold is compared.
"""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from arguments import one_wrong_at_a_time, right_values
from catalogue import CLIENTS, RPC_FILES, Rpc, Table, digest, helpers, rpcs, tables
from peopled import People, people
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from rpc import App, Connection, value

REFUSED = "42501"


@dataclass
class World:
    """A database in which each table holds something, and what its catalogue lists."""

    conn: Connection  # as the tables' owner; what a client tries on it is undone
    people: People
    tables: list[Table]
    rpcs: list[Rpc]
    at_first: dict[str, str]

    def become(self, role: str) -> None:
        """Be Alice in that role until the end of the transaction."""
        claims = json.dumps({"sub": str(self.people.alice.user), "role": role})
        self.conn.execute(
            "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
            [role, claims],
        )

    def attempt(self, role: str, statement: sql.SQL | sql.Composed) -> str | set[str]:
        """Return the SQLSTATE of a client's statement, or the tables that it changed."""
        with self.conn.transaction(force_rollback=True):
            self.become(role)
            try:
                with self.conn.transaction():
                    self.conn.execute(statement)
            except psycopg.Error as error:
                return error.sqlstate or ""
            self.conn.execute("set local role rendio_owner")
            now = digest(self.conn, self.tables)
            return {name for name in now if now[name] != self.at_first[name]}


@pytest.fixture(scope="module")
def world(clone: Callable[[], str], server: Any) -> Iterator[World]:
    url = clone()
    with App(url) as app:
        found = people(app), tables(app.login), rpcs(app.login)
        yield World(app.owner, *found, digest(app.owner, found[1]))
        assert app.discrepancies() == []
    server.drop(conninfo_to_dict(url)["dbname"])


def test_there_is_something_to_attack(world: World) -> None:
    query = sql.SQL("select count(*) from {}")
    empty = [t for t in world.tables if not value(world.conn, query.format(t.identifier))]
    assert [str(t) for t in empty if not t.is_partition] == []


# --- statements -----------------------------------------------------------------------------------


def a_row(world: World, table: Table) -> dict[str, str | None]:
    """Return a row of a table as text, one of Alice's if there is one; nulls where it is empty."""
    names = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(c)) for c in table.columns)
    query = sql.SQL("select {} from {} as t order by t::text like %s desc limit 1")
    pattern = f"%{world.people.alice.user}%"
    found = world.conn.execute(query.format(names, table.identifier), [pattern]).fetchone()
    return dict(zip(table.columns, found or [None] * len(table.columns), strict=True))


def inserts(world: World, table: Table) -> Iterator[tuple[str, sql.Composed]]:
    """Insert each column alone, and a whole row."""
    row = a_row(world, table)
    for columns in [*([column] for column in row), list(row)]:
        yield (
            ", ".join(columns),
            sql.SQL("insert into {} ({}) values ({})").format(
                table.identifier,
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.SQL(", ").join(sql.Literal(row[column]) for column in columns),
            ),
        )


def updates(world: World, table: Table) -> Iterator[tuple[str, sql.Composed]]:
    """Update each column, to null: whoever reads nothing needs no right to read."""
    for column in table.columns:
        yield (
            column,
            sql.SQL("update {} set {} = null").format(table.identifier, sql.Identifier(column)),
        )


def deletes(world: World, table: Table) -> Iterator[tuple[str, sql.Composed]]:
    yield "", sql.SQL("delete from {}").format(table.identifier)


def truncates(world: World, table: Table) -> Iterator[tuple[str, sql.Composed]]:
    if not table.is_view:
        yield "", sql.SQL("truncate {} cascade").format(table.identifier)


STATEMENTS = {"insert": inserts, "update": updates, "delete": deletes, "truncate": truncates}
# Not refused for want of a right: a user's two preferences, which cannot be null.
RIGHTS = {
    ("authenticated", "update"): {
        ("public.users", "language"): "23502",
        ("public.users", "theme_preference"): "23502",
    }
}


@pytest.mark.parametrize("verb", STATEMENTS)
@pytest.mark.parametrize("role", CLIENTS)
def test_no_statement_is_let_through(world: World, role: str, verb: str) -> None:
    ends = {
        (str(table), columns): world.attempt(role, statement)
        for table in world.tables
        for columns, statement in STATEMENTS[verb](world, table)
    }
    assert len(ends) >= len(world.tables)
    assert {k: v for k, v in ends.items() if v != REFUSED} == RIGHTS.get((role, verb), {})


def test_preferences_are_the_only_thing_a_user_writes_and_only_its_own(world: World) -> None:
    statement = sql.SQL("update public.users set language = 'de', theme_preference = 'dark'")
    assert world.attempt("authenticated", statement) == {"public.users"}
    with world.conn.transaction(force_rollback=True):
        untouched = "select to_jsonb(u) - '{language,theme_preference}'::text[] from public.users u"
        before = world.conn.execute(untouched).fetchall()
        world.become("authenticated")
        assert world.conn.execute(statement).rowcount == 1
        world.conn.execute("set local role rendio_owner")
        assert sorted(map(str, world.conn.execute(untouched))) == sorted(map(str, before))
        query = "select id from public.users where language = 'de' or theme_preference = 'dark'"
        assert world.conn.execute(query).fetchall() == [(world.people.alice.user,)]


@pytest.mark.parametrize("role", [*CLIENTS, "service_role"])
def test_no_helper_can_be_called(world: World, role: str) -> None:
    ends = {}
    for name, types in helpers(world.conn):
        nulls = sql.SQL(", ".join(f"null::{t}" for t in types))
        statement = sql.SQL("select {}({})").format(sql.Identifier("rendio", name), nulls)
        ends[name] = world.attempt(role, statement)
    assert len(ends) > 20
    assert {name: end for name, end in ends.items() if end != REFUSED} == {}


# --- functions ------------------------------------------------------------------------------------


def some_call(rpc: Rpc, die: random.Random) -> str:
    """Return a call whose arguments are mostly right, but for one at most."""
    jobs = ["{alices_job}", "{alices_started_job}", "{alices_ended_job}", "{bobs_job}"]
    if die.random() < 0.8:
        arguments = right_values(rpc)
    else:
        arguments = die.choice(list(one_wrong_at_a_time(rpc)) or [{}])
    if "p_job_id" in arguments and die.random() < 0.8:
        arguments["p_job_id"] = f"'{die.choice(jobs)}'"
    if "p_idempotency_key" in arguments and die.random() < 0.5:
        arguments["p_idempotency_key"] = "'{alices_key}'"
    given = ", ".join(f"{name} => {value}" for name, value in arguments.items())
    return f"select from public.{rpc.name}({given})"


def repeat_calls(world: World, rpcs: list[Rpc], die: random.Random, times: int) -> int:
    """Call as Alice, again and again; return how many calls had a result."""
    world.become("authenticated")
    answered = 0
    for _ in range(times):
        with suppress(psycopg.Error), world.conn.transaction():
            world.conn.execute(world.people.filled(some_call(die.choice(rpcs), die)))
            answered += 1
    world.conn.execute("set local role rendio_owner")
    return answered


def books(world: World) -> tuple[dict[Any, Any], list[Any]]:
    """Return what each user was granted and owes, and whose credits are not what they must be.

    Who has left is granted and owes nothing. Credits are what was given and taken by others
    (stores, expiry, merges), less what the jobs keep.
    """
    query = """
        select u.id, u.tier, u.credits_total, u.is_blocked, u.merged_into,
            (
                select coalesce(jsonb_agg(jsonb_build_array(r.origin, r.revoked, r.policy)
                    order by r.origin), '[]')
                from public.purchase_revocations as r
                where r.user_id = u.id
            ),
            u.credits_remaining,
            (
                select coalesce(sum(q.change), 0)
                from public.quota_log as q
                where q.user_id = u.id
                    and q.reason not in
                        ('video_generation', 'generation_failed_refund', 'partial_refund')
            ) - (
                select coalesce(sum(j.credits_used - j.credits_refunded), 0)
                from (
                    select user_id, credits_used, credits_refunded from public.video_jobs
                    union all
                    select user_id, credits_used, credits_refunded from public.video_jobs_archive
                ) as j
                where j.user_id = u.id
            ),
            u.deleted_at is not null
        from public.users as u
    """
    rows = world.conn.execute(query).fetchall()
    wrong = [row for row in rows if row[6] != row[7]]
    return {row[0]: row[1:6] for row in rows if not row[8]}, wrong


@pytest.mark.parametrize("name", [*RPC_FILES, "all"])
def test_no_sequence_of_calls_makes_credits(world: World, name: str) -> None:
    """What comes back was taken before, for the caller's own jobs, and comes back once."""
    mine = [r for r in world.rpcs if "authenticated" in r.callers and name in (r.name, "all")]
    if name == "all":  # after that one every other is refused
        mine = [r for r in mine if r.name != "delete_account"]
    if not mine:
        return
    with world.conn.transaction(force_rollback=True):
        granted, _ = books(world)
        bob = "select u::text from public.users as u where id = %s"
        before = world.conn.execute(bob, [world.people.bob.user]).fetchall()
        assert repeat_calls(world, mine, random.Random(name), 200 if name == "all" else 30)
        now, wrong = books(world)
        assert wrong == []
        assert now == {user: granted[user] for user in now}
        assert name == "delete_account" or len(now) == len(granted)
        assert world.conn.execute(bob, [world.people.bob.user]).fetchall() == before
