"""Every RPC against every wrong argument and every wrong caller.

Arguments come from pg_proc, wrong values from their types. Whatever is sent ends in a result, in an
error of the registry, or in 42501 for a role that may not call the function at all; a value that is
none of its type is refused by its cast. Nothing is written by what failed, and nobody's credits
move but those of the user named.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
import pytest
from arguments import RIGHT, one_wrong_at_a_time, right_values
from catalogue import RPC_FILES, Rpc, Table, digest, rpcs, tables
from peopled import People, people
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from rpc import App, Connection, Outcome

# --- callers --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Caller:
    """A database role and what its request claims."""

    role: str
    claims: str = ""
    legacy_sub: str = ""

    def settings(self) -> str:
        pairs = {
            "role": self.role,
            "request.jwt.claims": self.claims,
            "request.jwt.claim.sub": self.legacy_sub,
        }
        calls = (sql.SQL("set_config({}, {}, true)").format(*pair) for pair in pairs.items())
        return "select " + sql.SQL(", ").join(calls).as_string(None)


SERVICE = Caller("service_role")
ALICE = Caller("authenticated", '{"sub": "{alice}", "role": "authenticated"}')
BOB = Caller("authenticated", '{"sub": "{bob}", "role": "authenticated"}')
OTHERS = {
    "bob": BOB,
    "forged role": Caller("authenticated", '{"sub": "{bob}", "role": "service_role"}'),
    "forged legacy claims": Caller("authenticated", '{"sub": "{alice}"}', "{bob}"),
    "anon": Caller("anon", '{"role": "anon"}'),
    "anon with a sub": Caller("anon", '{"sub": "{alice}", "role": "service_role"}'),
}
NOBODIES = {
    claims: Caller("authenticated", claims)
    for claims in (
        "", "{}", "[]", "null", '"{alice}"', "no json", '{"sub":', '{"sub": null}', '{"sub": ""}',
        '{"sub": 1}', '{"sub": true}', '{"sub": {"sub": "{alice}"}}', '{"sub": ["{alice}"]}',
        '{"sub": "not-a-uuid"}', '{"sub": "{alice} "}x', '{"sub": "{alice}x"}', "[" * 100_000,
        '{"sub": "\\u0000"}', '{"sub": "{alice}", "n": 1e999999}', '{"role": "service_role"}',
        '{"sub": "' + "a" * 1_000_000 + '"}',
    )
}  # fmt: skip
NOBODIES["malformed legacy sub"] = Caller("authenticated", ALICE.claims, "not-a-uuid")


# --- a world to call in ---------------------------------------------------------------------------


class Money(NamedTuple):
    """A user's credits: what is left, and what was ever granted."""

    left: int
    granted: int


class Ended(NamedTuple):
    """How a call ended, whose money it changed, and the answer to what was asked afterwards."""

    outcome: Outcome
    changed: dict[str, tuple[Money | None, Money]]  # before, after
    answer: list[Any]


@dataclass
class World:
    """Alice and Bob in a database, and a connection on which every call is rolled back."""

    conn: Connection
    people: People
    rpcs: dict[str, Rpc]
    tables: list[Table]
    errors: set[tuple[str, str]]
    at_first: dict[str, str]
    money_at_first: dict[str, Money] = field(init=False)

    def __post_init__(self) -> None:
        self.money_at_first = self.money()

    def call(
        self,
        rpc: Rpc,
        arguments: dict[str, str],
        caller: Caller,
        *,
        prepare: str = "",
        ask: str = "",
    ) -> Ended:
        """Make a call between two statements of the owner, undo it, and say how it ended."""
        given = ", ".join(f"{name} => {value}" for name, value in arguments.items())
        query = f"select to_jsonb(f) from public.{rpc.name}({given}) as f"
        with self.conn.transaction(force_rollback=True):
            if prepare:
                self.conn.execute(prepare)
            self.conn.execute(self.people.filled(caller.settings()))
            try:
                rows = self.conn.execute(self.people.filled(query)).fetchall()
            except psycopg.Error as error:
                return Ended(self.failure(error), {}, [])
            self.conn.execute("set local role rendio_owner")
            after = self.money()
            before = self.money_at_first
            changed = {
                user: (before.get(user), after[user])
                for user in after
                if after[user] != before.get(user)
            }
            answer = self.conn.execute(ask).fetchall() if ask else []
            return Ended(Outcome([row for (row,) in rows]), changed, answer)

    def failure(self, error: psycopg.Error) -> Outcome:
        sqlstate, slug = error.sqlstate or "", error.diag.message_primary or ""
        if sqlstate.startswith("PT"):
            assert (sqlstate, slug) in self.errors
            assert isinstance(json.loads(error.diag.message_detail or ""), dict)
            assert error.diag.message_hint
        return Outcome(sqlstate=sqlstate, slug=slug)

    def cast_fails(self, arguments: dict[str, str]) -> str | None:
        """Return the SQLSTATE with which an argument fails before any function sees it."""
        try:
            self.conn.execute(
                self.people.filled(f"select {', '.join(arguments.values()) or 'null'}")
            )
        except psycopg.Error as error:
            return error.sqlstate
        return None

    def money(self) -> dict[str, Money]:
        query = "select id, credits_remaining, credits_total from public.users"
        return {str(user): Money(*figures) for user, *figures in self.conn.execute(query)}


@pytest.fixture(scope="module")
def world(clone: Callable[[], str], server: Any) -> Iterator[World]:
    url = clone()
    with App(url) as app:
        found = tables(app.login)
        yield World(
            app.owner,
            people(app),
            {rpc.name: rpc for rpc in rpcs(app.login)},
            found,
            set(app.owner.execute("select sqlstate, slug from rendio.errors()").fetchall()),
            digest(app.owner, found),
        )
    server.drop(conninfo_to_dict(url)["dbname"])


@pytest.fixture(autouse=True)
def _nothing_written(world: World) -> Iterator[None]:
    yield
    assert digest(world.conn, world.tables) == world.at_first


# --- tests ----------------------------------------------------------------------------------------


def judge(
    world: World, rpc: Rpc, arguments: dict[str, str], caller: Caller, *, slug: str | None = None
) -> None:
    """Make a call and find it acceptable; where a slug is given, only that."""
    outcome, changed, _ = world.call(rpc, arguments, caller)
    what = f"{caller} {rpc.name}({arguments}): {outcome}"[:2000]
    if outcome.sqlstate and not outcome.sqlstate.startswith("PT") and outcome.sqlstate != "42501":
        assert outcome.sqlstate == world.cast_fails(arguments), what
        return
    assert (outcome.sqlstate != "42501") == (caller.role in rpc.callers), what
    if slug and caller.role in rpc.callers:
        assert outcome.slug == slug, what
    named = world.people.filled(arguments.get("p_user_id", "{alice}"))
    for user, (before, after) in changed.items():
        assert user in named or (caller == SERVICE and before is None), what
        assert caller == SERVICE or (before and after.granted == before.granted), what


def test_the_files_are_the_rpcs(world: World) -> None:
    assert sorted(world.rpcs) == RPC_FILES


@pytest.mark.parametrize("name", RPC_FILES)
def test_right_arguments_are_right(world: World, name: str) -> None:
    """Otherwise the wrong ones would all be refused for the same other reason."""
    rpc = world.rpcs[name]
    arguments = right_values(rpc)
    if guessed := [a for a in arguments if f"{name}.{a}" not in RIGHT and a not in RIGHT]:
        pytest.fail(f"add right values to RIGHT for {name}'s {', '.join(guessed)}")
    outcome = world.call(rpc, arguments, SERVICE).outcome
    assert outcome.sqlstate is None, outcome


@pytest.mark.parametrize("name", RPC_FILES)
def test_wrong_arguments(world: World, name: str) -> None:
    for arguments in one_wrong_at_a_time(world.rpcs[name]):
        for caller in (SERVICE, ALICE):
            judge(world, world.rpcs[name], arguments, caller)


@pytest.mark.parametrize("name", RPC_FILES)
def test_wrong_callers(world: World, name: str) -> None:
    rpc = world.rpcs[name]
    for caller in OTHERS.values():
        for arguments in [right_values(rpc), *one_wrong_at_a_time(rpc)]:
            foreign = rpc.about_a_user and "{bob}" not in arguments.get("p_user_id", "")
            judge(world, rpc, arguments, caller, slug="not_your_account" if foreign else None)


@pytest.mark.parametrize("name", RPC_FILES)
def test_callers_without_an_identity(world: World, name: str) -> None:
    rpc = world.rpcs[name]
    for caller in NOBODIES.values():
        slug = "not_authenticated" if rpc.about_a_user else None
        judge(world, rpc, right_values(rpc), caller, slug=slug)


@pytest.mark.parametrize("name", RPC_FILES)
def test_a_grant_does_not_make_the_service(world: World, name: str) -> None:
    """Somebody grants a client role what only the service may call."""
    rpc = world.rpcs[name]
    if "authenticated" in rpc.callers:
        return
    types = ", ".join(argument.type for argument in rpc.arguments)
    grant = f"grant execute on function public.{name}({types}) to authenticated"
    for arguments in [right_values(rpc), *one_wrong_at_a_time(rpc)]:
        outcome = world.call(rpc, arguments, ALICE, prepare=grant).outcome
        if outcome.slug != "service_only":
            assert outcome.sqlstate == world.cast_fails(arguments) is not None


@pytest.mark.parametrize("name", RPC_FILES)
def test_temporary_tables_named_like_ours(world: World, name: str) -> None:
    """Nothing is read from them and nothing written there; some have the names of types."""
    rpc = world.rpcs[name]
    shadows = [t for t in world.tables if not t.is_partition]
    prepare = [
        "reset role",
        *(f"create temp table {t.name} (like {t})" for t in shadows),
        *(f"create temp table {t} (x pg_catalog.int4)" for t in ("text", "uuid", "jsonb", "bytea")),
        *(f"grant all on pg_temp.{t.name} to public" for t in shadows),
        "set local role rendio_owner",
    ]
    ask = " union all ".join(f"select '{t.name}' from pg_temp.{t.name}" for t in shadows)
    for caller in (SERVICE, ALICE):
        plain = world.call(rpc, right_values(rpc), caller)
        shaded = world.call(rpc, right_values(rpc), caller, prepare=";".join(prepare), ask=ask)
        assert without_chance(shaded.outcome) == without_chance(plain.outcome)
        assert sorted(shaded.changed.values()) == sorted(plain.changed.values())
        assert shaded.answer == []


def without_chance(outcome: Outcome) -> Outcome:
    """Leave out of a result what differs between two equal calls: new ids and times."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "an id", json.dumps(outcome.result))
    text = re.sub(r"\d{4}-\d\d-\d\dT[^\"]+", "a time", text)
    return Outcome(json.loads(text), outcome.sqlstate, outcome.slug)
