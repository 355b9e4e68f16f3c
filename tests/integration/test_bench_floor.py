"""The benchmark's floor writes the rows that a generation writes: none narrower or wider."""

from pathlib import Path
from uuid import UUID

import pytest
from rpc import MODEL, App, value

FLOOR = Path(__file__).parent.parent / "bench" / "floor.sql"
COLUMNS = (
    "select array_agg((a.attname, coalesce(base.typname, t.typname))::text order by a.attnum)"
    " from pg_attribute as a join pg_type as t on t.oid = a.atttypid"
    " left join pg_type as base on base.oid = t.typbasetype"
    " where attrelid = %s::regclass and attnum > 0 and not attisdropped"
)
RULES = (
    "select array_agg(contype::text) from pg_constraint"
    " where conrelid = %s::regclass and contype <> 'n'"
)
INDEXES = "select count(*) from pg_index where indrelid = %s::regclass"
PROMPT = "A red fox runs through fresh snow at dawn"
ROWS = {
    "floor.users": "public.users",
    "floor.claims": "public.idempotency_log",
    "floor.jobs": "public.video_jobs",
    "floor.ledger": "public.quota_log",
}

pytestmark = [pytest.mark.once, pytest.mark.shapeless]


@pytest.mark.parametrize(("floor", "ours"), ROWS.items())
def test_the_floor_has_our_columns_and_primary_keys_only(app: App, floor: str, ours: str) -> None:
    with app.login.transaction(force_rollback=True):
        app.login.execute(FLOOR.read_text())
        assert value(app.login, COLUMNS, floor) == value(app.login, COLUMNS, ours)
        assert value(app.login, RULES, floor) == ["p"]
        assert value(app.login, INDEXES, floor) == 1


def test_the_floor_writes_rows_as_wide_as_ours(app: App) -> None:
    user = app.new_user(100)
    with app.login.transaction(force_rollback=True):
        app.login.execute(FLOOR.read_text())
        app.login.execute(
            "insert into floor.users (id, credits_remaining) values (%s, 100)", [user]
        )
        for function in ("public.generate_video_atomic", "floor.generate_video"):
            app.login.execute(
                f"select {function}(%s, %s, %s, '{{\"duration\": 8}}', gen_random_uuid())",
                [user, MODEL, PROMPT],
            )
        for floor, ours in ROWS.items():
            assert width(app, floor, user) == width(app, ours, user), floor


def width(app: App, table: str, user: UUID) -> int:
    """Return how many bytes the user's latest row of a table takes."""
    key = "id" if table.endswith(".users") else "user_id"
    query = f"select pg_column_size(t.*) from {table} as t where {key} = %s"
    found: int = value(app.login, f"{query} order by t.created_at desc limit 1", user)
    return found
