"""Two databases with the same people in them: one built as the plans say, one built by rendio."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

ALICE = UUID("a11ce000-0000-4000-8000-000000000001")
BOB = UUID("b0b00000-0000-4000-8000-000000000002")
MODEL = UUID("4c000000-0000-4000-8000-000000000003")
COST = 4
GRANT = 10

Connection = psycopg.Connection[Any]


@dataclass
class World:
    """A database in which Alice and Bob hold ten credits each and one model costs four."""

    url: str
    connect: Callable[..., Connection]
    owner: Connection = field(init=False)

    def __post_init__(self) -> None:
        self.owner = self.connect(self.url)

    def as_user(self, user: UUID) -> Connection:
        """Connect as PostgREST does for a signed-in user."""
        return self.connect(self.url, role="authenticated", user_id=user)

    def as_anon(self) -> Connection:
        """Connect as PostgREST does for somebody without a token."""
        return self.connect(self.url, role="anon")

    def as_service(self) -> Connection:
        """Connect as the backend does, with the service key."""
        return self.connect(self.url, role="service_role")

    def value(self, query: str, *args: object) -> Any:
        """Return the only value of a query that the owner runs."""
        return value(self.owner, query, *args)

    def credits(self, user: UUID) -> int:
        """Return the balance of a user."""
        return int(self.value("select credits_remaining from public.users where id = %s", user))

    def reasons(self, user: UUID) -> list[str]:
        """Return why the user's balance changed, oldest entry first."""
        rows = self.owner.execute(
            "select reason from public.quota_log where user_id = %s order by created_at, id", [user]
        )
        return [reason for (reason,) in rows]


@dataclass
class Plan(World):
    """The plans' schema."""

    def as_service(self) -> Connection:
        """Connect as the backend: on Supabase the service key passes row security."""
        return self.connect(self.url)

    def __post_init__(self) -> None:
        super().__post_init__()
        for user, device in ((ALICE, "alice's phone"), (BOB, "bob's phone")):
            self.owner.execute(
                "insert into public.users"
                " (id, device_id, credits_remaining, credits_total, initial_grant_claimed)"
                " values (%s, %s, %s, %s, true)",
                [user, device, GRANT, GRANT],
            )
            self.owner.execute(
                "insert into public.quota_log (user_id, change, reason, balance_after)"
                " values (%s, %s, 'initial_grant', %s)",
                [user, GRANT, GRANT],
            )
        add_model(self.owner)


@dataclass
class Ours(World):
    """What rendio applies."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.service = self.as_service()
        for user, device in ((ALICE, "alice's phone"), (BOB, "bob's phone")):
            self.call("device_check", user, device)
        add_model(self.owner)

    def call(self, rpc: str, *args: object) -> Any:
        """Call an RPC as the service."""
        return call(self.service, rpc, *args)

    def pass_time(self, interval: str) -> None:
        """Let time pass for every rule of the database."""
        self.set_clock(f"clock_timestamp() + interval '{interval}'")

    def set_clock(self, expression: str) -> None:
        """Replace the one clock that the database reads."""
        self.owner.execute(
            "create or replace function rendio.clock() returns timestamptz language sql"
            f" volatile parallel safe begin atomic select {expression}; end"
        )

    def discrepancies(self) -> list[Any]:
        """Return where the books do not agree."""
        return self.service.execute("select * from public.reconcile_credits()").fetchall()


def add_model(owner: Connection, *, model: UUID = MODEL, name: str = "Cinematic") -> None:
    """Put a model of four credits on sale."""
    owner.execute(
        "insert into public.models"
        " (id, name, category, provider, provider_model_id, cost_per_generation)"
        " values (%s, %s, 'video', 'fal', 'fal-ai/veo3.1', %s)",
        [model, name, COST],
    )


def value(conn: Connection, query: str, *args: object) -> Any:
    """Return the first column of the first row."""
    row = conn.execute(query, args).fetchone()
    assert row is not None, query
    return row[0]


def call(conn: Connection, rpc: str, *args: object) -> Any:
    """Call a function of public by position and return its result."""
    marks = ", ".join(["%s"] * len(args))
    return value(conn, f"select public.{rpc}({marks})", *map(as_json, args))


def as_json(arg: object) -> object:
    """Pass a mapping as jsonb text."""
    return json.dumps(arg) if isinstance(arg, Mapping) else arg


def generate(
    conn: Connection, user: UUID, key: UUID | None = None, prompt: str = "a cat surfing"
) -> Any:
    """Ask for one video of the model; the same call on either schema."""
    return value(
        conn,
        "select public.generate_video_atomic(%s, %s, %s, '{}'::jsonb, %s)",
        user,
        MODEL,
        prompt,
        key or uuid4(),
    )


@contextmanager
def refused(sqlstate: str, slug: str | None = None) -> Iterator[None]:
    """Expect a statement to be refused with this SQLSTATE and, for our own errors, this slug."""
    with pytest.raises(psycopg.Error) as caught:
        yield
    assert caught.value.sqlstate == sqlstate, caught.value
    if slug is not None:
        assert caught.value.diag.message_primary == slug


def wait_until_blocked(observer: Connection, waiting: Connection) -> None:
    """Return once the other connection is seen to wait for a lock."""
    deadline = time.monotonic() + 30
    pid = waiting.info.backend_pid
    while not value(observer, "select cardinality(pg_catalog.pg_blocking_pids(%s)) > 0", pid):
        assert time.monotonic() < deadline, "never blocked: this was no race"
        time.sleep(0.01)
