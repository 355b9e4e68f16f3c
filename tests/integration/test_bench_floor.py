"""The benchmark's floor writes the rows that a generation writes: none narrower, none missing."""

from pathlib import Path

import pytest
from rpc import App, value

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

pytestmark = [pytest.mark.once, pytest.mark.shapeless]


@pytest.mark.parametrize(
    ("floor", "ours"),
    [
        ("floor.users", "public.users"),
        ("floor.claims", "public.idempotency_log"),
        ("floor.jobs", "public.video_jobs"),
        ("floor.ledger", "public.quota_log"),
    ],
)
def test_the_floor_has_our_columns_and_primary_keys_only(app: App, floor: str, ours: str) -> None:
    with app.login.transaction(force_rollback=True):
        app.login.execute(FLOOR.read_text())
        assert value(app.login, COLUMNS, floor) == value(app.login, COLUMNS, ours)
        assert value(app.login, RULES, floor) == ["p"]
        assert value(app.login, INDEXES, floor) == 1
