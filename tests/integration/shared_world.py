"""People and what they have, new for each two calls that meet, and what becomes of it.

The first world is made by calls. Others are copies of its rows with other ids, in which the first
part is the world's number.
"""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import count
from uuid import UUID, uuid4

from catalogue import tables
from psycopg import sql
from rpc import MODEL, App, Connection, generation

LATER = "2 hours"  # after the making of the first world come the calls

STORE = ("app_store", "Production")

World = Mapping[str, str]  # the ids of people, jobs, keys and so on, by what they are

NAMES = (
    "phone", "new phone", "tablet", "apple", "other apple", "new key", "old key", "old id",
    "started id", "late id", "new id", "event", "bought", "purchase", "asked", "notice",
    "other notice",
)  # fmt: skip
NOBODYS = {
    "models", "catalog_version", "app_settings", "iap_products", "rate_limit_rules", "rate_limits",
}  # fmt: skip
# What of a table is a world's, where it has no user_id.
ELSEWHERE = {
    "users": "t.id = any(p_people)",
    "webhook_events": "t.event_id = any(p_names)",
    "store_notifications": "t.notification_id = any(p_names)",
}

ID = "[0-9a-f]{8}((?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:[0-9:.]+[+-]\d\d:\d\d"), "time"),
    (re.compile(r"\\\\x[0-9a-f]{32}"), "hash"),
)

# The rows of a world, with those of whoever holds its devices by now. Then it is put away: the
# maintenance of the next worlds is over all users.
END = """
create function rendio.end_world(p_people uuid[], p_names text[])
returns table (name text, content text)
language plpgsql as $$
begin
    p_people := p_people || array(
        select i.user_id
        from public.account_identities as i
        where i.kind = 'device' and i.identifier = any(p_names) and i.user_id <> all(p_people)
    );
    return query {};
    update public.video_jobs as j
    set times_out_at = 'infinity', lease_expires_at = 'infinity',
        completed_at = greatest(j.completed_at, now())
    where j.user_id = any(p_people);
    update public.credit_grants as g set expires_at = 'infinity' where g.user_id = any(p_people);
    update public.users as u set next_expiry_at = 'infinity' where u.id = any(p_people);
    delete from public.idempotency_log as l where l.user_id = any(p_people);
end;
$$
"""
END_ROWS = "select {name}, to_jsonb(t)::text from {table} as t where {condition}"

# Where a number goes, the rows of the first world have an @.
COPY = """
create function rendio.copy_world(p_number text) returns void language plpgsql as $$
begin
    {}
end;
$$
"""
COPY_ROWS = """
    insert into {table}
    select r.*
    from rendio.first_world as w
    cross join lateral jsonb_populate_record(
        null::{table}, replace(w.content, '@', p_number)::jsonb
    ) as r
    where w.name = {name};
"""


class Worlds:
    """Makes worlds in a database, one after the other."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._numbers = count(1)
        _create(app.owner, END, " union all ", END_ROWS)
        _create(app.owner, COPY, "", COPY_ROWS)
        self._first = _first_world(app)
        app.owner.execute("create table rendio.first_world (name text, content text)")
        app.owner.execute(
            "insert into rendio.first_world"
            " select name, regexp_replace(content, %s, %s, 'g') from rendio.end_world(%s, %s)",
            [f"(?!{MODEL}){ID}", r"@\1", *_key(self._first)],
        )

    def new(self, *, timed_out: Iterable[str] = (), merged: bool = False) -> World:
        """Make a world in which some jobs have timed out, and the guest may have signed in."""
        number = f"{next(self._numbers):08x}"
        self._app.login.execute("select rendio.copy_world(%s)", [number])
        world = {name: number + id_[8:] for name, id_ in self._first.items()}
        for job in timed_out:
            self._app.owner.execute(
                "update public.video_jobs set times_out_at = created_at where job_id = %s",
                [world[job]],
            )
        if merged:
            self._app.call("link_apple_account", world["guest"], world["apple"])
        return world

    def end(self, world: World) -> list[str]:
        """Return what is in the tables of a world, and put it away."""
        query = "select name || ' ' || content from rendio.end_world(%s, %s)"
        return [row for (row,) in self._app.owner.execute(query, _key(world))]


def _create(owner: Connection, function: str, separator: str, each: str) -> None:
    """Create a function with a part for each table that holds what is somebody's."""
    found = [
        table
        for table in tables(owner)
        if table.schema == "public" and not table.is_view and table.name not in NOBODYS
    ]
    found.sort(key=lambda table: table.name != "users")  # to which the others refer
    parts = [
        sql.SQL(each).format(
            name=sql.Literal(table.name),
            table=table.identifier,
            condition=sql.SQL(ELSEWHERE.get(table.name, "t.user_id = any(p_people)")),
        )
        for table in found
    ]
    owner.execute(sql.SQL(function).format(sql.SQL(separator).join(parts)))


def _key(world: World) -> tuple[list[UUID], list[str]]:
    people = [UUID(world["guest"]), UUID(world["account"])]
    return people, list(world.values())


def _first_world(app: App) -> World:
    """Make an account, and a guest who has jobs in every state.

    Of its credits, some expire before the calls come, and the others are those of one video, the
    rest of a purchase: to take that back leaves a debt.
    """
    app.owner.execute(
        "update public.app_settings set value = '\"block\"' where key = 'refund_shortfall'"
    )
    world = {name: str(uuid4()) for name in NAMES}
    guest, account = (
        UUID(app.call("device_check", None, world[device])["user_id"])
        for device in ("phone", "tablet")
    )
    app.call("link_apple_account", account, world["apple"])
    app.call("add_credits", account, 5, "promo_grant", uuid4())
    soon = app.value("select now() + interval '1 hour'")
    app.call("add_credits", guest, 4, "promo_grant", uuid4(), soon)
    app.call("add_credits", guest, 6, "promo_grant", uuid4())
    keys = [uuid4(), UUID(world["old key"]), uuid4(), uuid4()]
    started, old, late, waiting = (
        UUID(generation(guest, key)(app.login)["job_id"]) for key in keys
    )
    app.call("record_iap_purchase", guest, *STORE, world["bought"], "credits_20")
    app.call("add_credits", guest, -20, "admin_adjustment", uuid4())
    app.call("add_credits", guest, 5, "promo_grant", uuid4(), soon)
    asks = ("CONSUMPTION_REQUEST", world["bought"])
    app.call("apply_store_notification", *STORE, world["asked"], *asks)

    app.call("start_video_job", guest, started, world["started id"])
    app.call("start_video_job", guest, old, world["old id"])
    app.call("complete_video_job", "fal", world["old id"], "https://v")

    def change(job: UUID, columns: str) -> None:
        app.owner.execute(f"update public.video_jobs set {columns} where job_id = %s", [job])

    # An attempt's lease ended, its worker called the provider all the same.
    change(late, "attempt = 2, lease_owner = 'a worker', lease_expires_at = now()")
    app.call("start_video_job", guest, late, world["late id"], 1)
    for job in (started, late, waiting):
        change(job, "times_out_at = now() + interval '1 day'")
    change(old, "(completed_at, times_out_at) = (now() - interval '100 days', '-infinity')")
    app.owner.execute(
        "update public.idempotency_log set expires_at = now() where idempotency_key = %s",
        [world["old key"]],
    )
    jobs = {"started": started, "old": old, "late": late, "waiting": waiting}
    people = {"guest": guest, "account": account}
    return world | {name: str(id_) for name, id_ in (people | jobs).items()}


def anonymous(text: str, world: World) -> str:
    """Put names in for the ids of a world, and take all others and all times out."""
    names = {id_: name for name, id_ in world.items()}
    for name, id_ in world.items():
        text = text.replace(sha256(id_.encode()).hexdigest(), f"digest of {name}")
    text = re.sub(ID, lambda found: names.get(found[0], "new"), text)
    for pattern, name in VARYING:
        text = pattern.sub(name, text)
    return text
