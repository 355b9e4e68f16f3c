"""A month of idempotency keys through the clean-up: the table stays small.

A million claims arrive over 30 days, one hour of each day ten times as busy as the others. The
very function that cron runs is run at each simulated hour, seven minutes past, as scheduled.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from rpc import App

pytestmark = [pytest.mark.once, pytest.mark.thorough]

CLAIMS = 1_000_000
DAYS = 30
BUSY_HOUR, BUSY = 20, 10
LIMIT = 50_000  # rows
START = datetime(2026, 1, 1, 0, 7, tzinfo=UTC)


def claims_by_hour() -> list[int]:
    """Return how many claims arrive between one run of the clean-up and the next."""
    weights = [BUSY if hour == BUSY_HOUR else 1 for hour in range(24)] * DAYS
    ends = [CLAIMS * sum(weights[: n + 1]) // sum(weights) for n in range(len(weights))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


@pytest.fixture
def app(db: str) -> Iterator[App]:
    """A database whose clock is the setting test.now of the session."""
    with App(db) as app:
        app.owner.execute("set test.now = '2026-01-01'")
        app.set_clock("current_setting('test.now')")
        app.owner.execute("alter table public.idempotency_log set (autovacuum_enabled = off)")
        yield app


def claim(app: App, start: datetime, number: int) -> None:
    """Insert claims as wide as a generation's, spread over the hour."""
    app.owner.execute(
        """
        insert into public.idempotency_log (
            user_id, idempotency_key, job_id, created_at, expires_at,
            operation_type, request_hash, response_data
        )
        select gen_random_uuid(), key, key, at, at + interval '24 hours',
            'generate_video_atomic', decode(repeat('ab', 16), 'hex'),
            '{"status": "pending", "credits_used": 4}'
        from generate_series(1, %(number)s) as n
        cross join lateral (
            select gen_random_uuid() as key, %(start)s + interval '1 hour' * n / %(number)s as at
        ) as one
        """,
        {"number": number, "start": start},
    )


def autovacuum_threshold(app: App, rows: int) -> int:
    """Return at how many dead tuples autovacuum, which looks every minute, would take the table."""
    scale = app.value(
        """
        select coalesce(
            (
                select option_value::float8 from pg_catalog.pg_options_to_table(c.reloptions)
                where option_name = 'autovacuum_vacuum_scale_factor'
            ),
            current_setting('autovacuum_vacuum_scale_factor')::float8
        )
        from pg_catalog.pg_class as c
        where c.oid = 'public.idempotency_log'::regclass
        """
    )
    return int(app.value("show autovacuum_vacuum_threshold")) + int(scale * rows)


def test_a_million_keys_in_a_month(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    rows = dead = deleted = vacuums = most_rows = most_dead = 0
    now = START
    for arrived in claims_by_hour():
        claim(app, now, arrived)
        now += timedelta(hours=1)
        app.owner.execute("select set_config('test.now', %s, false)", [str(now)])
        rows += arrived
        most_rows = max(most_rows, rows)
        gone = app.value("select rendio.cleanup_idempotency_log()")
        rows, dead, deleted = rows - gone, dead + gone, deleted + gone
        most_dead = max(most_dead, dead)
        if dead > autovacuum_threshold(app, rows):
            app.owner.execute("vacuum public.idempotency_log")
            dead, vacuums = 0, vacuums + 1
        assert most_rows < LIMIT

    size = app.value("select pg_total_relation_size('public.idempotency_log')") // 2**20
    with capsys.disabled():
        print(
            f"\n{CLAIMS:,} keys in {DAYS} days: at most {most_rows:,} rows and {most_dead:,} dead"
            f" tuples, {size} MB with indexes after {vacuums} vacuums"
        )
    assert app.value("select count(*) from public.idempotency_log") == rows
    assert deleted + rows == CLAIMS
    query = "select count(*) from public.idempotency_log where expires_at <= rendio.clock()"
    assert app.value(query) == 0
    assert most_dead < LIMIT


def test_one_run_is_bounded_and_the_next_goes_on(app: App) -> None:
    claim(app, START, 1000)
    app.owner.execute("set test.now = '2026-02-01'")
    runs = [app.value("select rendio.cleanup_idempotency_log(400)") for _ in range(4)]
    assert runs == [400, 400, 200, 0]
