"""Calls of RPCs by the service or by a user, and a database with people in it to call them on."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

Connection = psycopg.Connection[Any]

MODEL = UUID("5f3b1e70-0000-4000-8000-000000000001")  # comes with rendio, costs COST
COST = 4


@dataclass(frozen=True)
class Call:
    """One call of one RPC, by the service or, with ``user``, by that user."""

    rpc: str
    args: tuple[object, ...] = ()
    user: UUID | None = None

    def __call__(self, conn: Connection) -> Any:
        """Make the call on a connection of the migrating role, which this turns into the caller."""
        role = "authenticated" if self.user else "service_role"
        claims = json.dumps({"sub": str(self.user), "role": role}) if self.user else ""
        with conn.transaction():
            conn.execute(
                "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                [role, claims],
            )
            row = conn.execute(self.statement(), [as_json(arg) for arg in self.args]).fetchone()
            return row and row[0]

    def statement(self) -> sql.Composed:
        marks = sql.SQL(", ").join([sql.Placeholder()] * len(self.args))
        return sql.SQL("select public.{}({})").format(sql.Identifier(self.rpc), marks)


@dataclass(frozen=True)
class Outcome:
    """What a call came to: its result, or the error's SQLSTATE and slug."""

    result: Any = None
    sqlstate: str | None = None
    slug: str | None = None


def outcome_of(task: Callable[[Connection], Any], conn: Connection) -> Outcome:
    """Run a task and return how it ended, an error of the database included."""
    try:
        return Outcome(task(conn))
    except psycopg.Error as error:
        return Outcome(sqlstate=error.sqlstate, slug=error.diag.message_primary)


class App:
    """A migrated database and the short names of what tests do with it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.login = psycopg.connect(url, autocommit=True)
        self.owner = psycopg.connect(url, autocommit=True)
        self.owner.execute("set role rendio_owner")

    def __enter__(self) -> "App":
        return self

    def __exit__(self, *_: object) -> None:
        self.login.close()
        self.owner.close()

    def call(self, rpc: str, *args: object, user: UUID | None = None) -> Any:
        return Call(rpc, args, user)(self.login)

    def value(self, query: str, *args: object) -> Any:
        """Return the only value of a query that the owner of the tables runs."""
        return value(self.owner, query, *args)

    def new_user(self, credits: int = 10) -> UUID:
        """Create a guest on a device of its own, with so many credits."""
        found = self.call("device_check", None, f"device-{uuid4()}")
        user = UUID(found["user_id"])
        if more := credits - found["credits_remaining"]:
            self.call("add_credits", user, more, "admin_adjustment", uuid4())
        return user

    def generate(self, user: UUID) -> UUID:
        """Take credits for a video; the job is pending."""
        return UUID(generation(user)(self.login)["job_id"])

    def submit(self, user: UUID) -> tuple[UUID, str]:
        """Take credits for a video and start it; returns the job and the provider's id of it."""
        job, provider_job = self.generate(user), f"fal-{uuid4()}"
        self.call("start_video_job", user, job, provider_job)
        return job, provider_job

    def credits(self, user: UUID) -> int:
        return int(self.value("select credits_remaining from public.users where id = %s", user))

    def reasons(self, user: UUID, job: UUID) -> list[str]:
        """Return the reasons of a job's ledger entries, oldest first."""
        query = (
            "select reason from public.quota_log where user_id = %s and job_id = %s order by seq"
        )
        return [reason for (reason,) in self.owner.execute(query, [user, job])]

    def status(self, user: UUID, job: UUID) -> tuple[str, str | None]:
        """Return a job's status and error code."""
        found = self.call("get_video_status", user, job)
        return found["status"], found["error_code"]

    def discrepancies(self, *, swept: bool = True) -> list[Any]:
        """Return where the books do not agree; but for overdue holds where no sweeper runs."""
        found = self.login.execute("select * from public.reconcile_credits()").fetchall()
        return [row for row in found if swept or row[1] != "hold_older_than_sweep"]

    def set_clock(self, expression: str) -> None:
        """Replace the one clock that the database reads."""
        self.owner.execute(
            "create or replace function rendio.clock() returns timestamptz language sql"
            f" volatile parallel safe begin atomic select ({expression})::timestamptz; end"
        )


def generation(user: UUID, key: UUID | None = None, *, by: UUID | None = None) -> Call:
    """Return the call that asks for one video of MODEL."""
    args = (user, MODEL, "a cat surfing", "{}", key or uuid4())
    return Call("generate_video_atomic", args, by)


def value(conn: Connection, query: Any, *args: object) -> Any:
    """Return the first column of the first row."""
    row = conn.execute(query, [as_json(arg) for arg in args]).fetchone()
    assert row is not None, query
    return row[0]


def as_json(arg: object) -> object:
    return json.dumps(arg) if isinstance(arg, Mapping) else arg
