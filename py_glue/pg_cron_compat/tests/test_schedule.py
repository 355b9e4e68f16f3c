"""The schedule grammar of pg_cron 1.6 and the times it means."""

from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Any

import psycopg
import pytest
from cronsim import CronSim
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Conn = psycopg.Connection[Any]
FEW = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def one(conn: Conn, query: str, *arguments: Any) -> Any:
    row = conn.execute(query.encode(), arguments).fetchone()
    assert row
    return row[0]


def parse(conn: Conn, text: str) -> str | None:
    """A schedule's meaning as PostgreSQL prints it; nothing when it is invalid."""
    return one(conn, "select cron_compat.parse(%s)::text", text)


def due(conn: Conn, schedule: str, start: str, end: str) -> list[str]:
    rows = conn.execute(
        "select to_char(due at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
        " from cron_compat.due_between(%s, %s, %s) as due",
        [schedule, f"{start} UTC", f"{end} UTC"],
    )
    return [time.removesuffix(":00") for (time,) in rows]


def next_due(conn: Conn, schedule: str, after: str) -> datetime | None:
    return one(conn, "select cron_compat.next_due(%s, %s)", schedule, f"{after} UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@hourly and more", "0 * * * *"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 9 * JAN-mar Mon-Fri", "0 9 * 1-3 1-5"),
        ("0 0 * * sun-tue", "0 0 * * 0-2"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("*/20 1-9/4 * * *", "0,20,40 1,5,9 * * *"),
        ("*/15,7 * * * *", "0,7,15,30,45 * * * *"),
        ("00 007 * * *", "0 7 * * *"),
        ("\t1  2\t3 4 5 ", "1 2 3 4 5"),
        ("1 2 3 4 5 sixth", "1 2 3 4 5"),
        ("1 2 3 4 5\nsecond line", "1 2 3 4 5"),
        ("# a comment\n\n  1 2 3 4 5", "1 2 3 4 5"),
        ("1;x 2.5 3-4-9 */5-1 *x", "1 2 3-4 */5 *"),
        (" " * 990 + "* * * * *", "* * * * *"),
    ],
)
def test_accepts_as_the_same(conn: Conn, text: str, same_as: str) -> None:
    assert parse(conn, text) == parse(conn, same_as) is not None


def test_a_leading_star_decides_even_when_the_values_are_the_same(conn: Conn) -> None:
    assert parse(conn, "0 0 */1 * 1") != parse(conn, "0 0 1-31 * 1")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1 second", 1),
        ("59 seconds", 59),
        ("  5 SECONDS", 5),
        ("1 seconds", 1),
        ("30 second", 30),
        ("7seconds", 7),
        ("+7 seconds", 7),
        ("05 Seconds\n", 5),
    ],
)
def test_accepts_intervals(conn: Conn, text: str, seconds: int) -> None:
    assert one(conn, "select (cron_compat.parse(%s)).seconds", text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "# only a comment",
        "* * * *",
        "* * * *\n*",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 0 *",
        "* * * 13 *",
        "0 0 * * 8",
        "*/0 * * * *",
        "*/60 * * * *",
        "0 */24 * * *",
        "5/10 * * * *",
        "1-5/ * * * *",
        "1- * * * *",
        "-1 * * * *",
        "1, * * * *",
        ",1 * * * *",
        "1,,2 * * * *",
        "1x * * * *",
        "jan * * * *",
        "0 0 L * *",
        "0 0 ? * *",
        "$ * * * *",
        "0 0 $,15 * *",
        "0 0 15,$ * *",
        "0 0 * foo *",
        "0 0 * * mon-foo",
        "0 0 * * ⅷ",
        "٣ * * * *",
        "50-10 * * * *",
        "0 0 * * sat-sun",
        "4294967296 * * * *",
        "@",
        "@every_minute",
        "@Hourly",
        "@hourly,",
        "0 seconds",
        "60 seconds",
        "-5 seconds",
        "1.5 seconds",
        "5 second ",
        "5 seconds x",
        "5 secondss",
        "5 minutes",
        "4294967297 seconds",
        " " * 991 + "* * * * *",
    ],
)
def test_rejects(conn: Conn, text: str) -> None:
    assert parse(conn, text) is None


def test_either_day_will_do_unless_one_is_starred(conn: Conn) -> None:
    friday_or_13th = due(conn, "0 0 13 * 5", "2026-11-01", "2026-11-30")
    assert friday_or_13th == [f"2026-11-{day:02} 00:00" for day in (6, 13, 20, 27)]
    monday_or_13th = due(conn, "0 0 13 * 1", "2026-11-08", "2026-11-20")
    assert monday_or_13th == ["2026-11-09 00:00", "2026-11-13 00:00", "2026-11-16 00:00"]
    odd_mondays = due(conn, "0 0 */2 * 1", "2026-11-01", "2026-11-30")
    assert odd_mondays == ["2026-11-09 00:00", "2026-11-23 00:00"]
    assert due(conn, "0 0 13 * */7", "2026-11-01", "2026-12-31") == ["2026-12-13 00:00"]


def test_last_day_of_the_month(conn: Conn) -> None:
    assert due(conn, "5 4 $ * *", "2028-01-31 04:05", "2028-04-30") == [
        "2028-02-29 04:05",
        "2028-03-31 04:05",
    ]
    assert due(conn, "0 0 $ 2 1", "2026-02-20", "2026-03-31") == [
        "2026-02-23 00:00",
        "2026-02-28 00:00",
    ]


def test_the_start_is_out_and_the_end_is_in(conn: Conn) -> None:
    assert due(conn, "*/30 * * * *", "2026-12-31 23:00", "2027-01-01 00:00") == [
        "2026-12-31 23:30",
        "2027-01-01 00:00",
    ]
    assert due(conn, "* * * * *", "2026-01-01 00:00:59.5", "2026-01-01 00:01") == [
        "2026-01-01 00:01"
    ]
    assert due(conn, "* * * * *", "2026-01-01 00:01", "2026-01-01 00:01") == []


def test_intervals_count_from_the_last_start(conn: Conn) -> None:
    assert due(conn, "25 seconds", "2026-01-01 00:00:10", "2026-01-01 00:01") == [
        "2026-01-01 00:00:35",
        "2026-01-01 00:01",
    ]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Europe/Berlin"])
def test_times_are_utc_whatever_the_zone_of_the_session(conn: Conn, zone: str) -> None:
    conn.execute("select set_config('timezone', %s, true)", [zone])
    assert next_due(conn, "@daily", "2026-01-01 08:30") == at("2026-01-02 00:00")
    assert due(conn, "30 1 * * *", "2026-03-28 12:00", "2026-03-30 12:00") == [
        "2026-03-29 01:30",
        "2026-03-30 01:30",
    ]


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "@yearly", "@annually"])
def test_what_never_comes(conn: Conn, text: str) -> None:
    assert parse(conn, text)
    assert next_due(conn, text, "2026-01-01") is None


def test_reboot_is_due_at_no_time(conn: Conn) -> None:
    assert parse(conn, "@reboot") == parse(conn, "@restart") == "(,t,,,,,,,)"
    assert next_due(conn, "@reboot", "2026-01-01") is None


def test_the_rarest_date_comes(conn: Conn) -> None:
    assert next_due(conn, "0 0 29 2 *", "2096-03-01") == at("2104-02-29")
    leap_monday = "0 0 */28 2 1"  # the 1st and the 29th, when they are Mondays
    days = due(conn, leap_monday, "2072-03-01", "2120-01-01")
    assert [day for day in days if "-29 " in day] == ["2112-02-29 00:00"]


def field(low: int, high: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    """One field as pg_cron, Debian's cron and cronsim all understand it."""
    number = st.integers(low, high).map(str)
    single = st.one_of(number, st.sampled_from(names)) if names else number
    # cronsim reads "5-5/2" as "5-59/2", so no range of one number.
    pair = st.lists(st.integers(low, high), min_size=2, max_size=2, unique=True).map(sorted)
    ranged = pair.map(lambda ends: f"{ends[0]}-{ends[1]}")
    step = st.integers(1, high - low)
    stepped = st.builds("{}/{}".format, st.one_of(st.just("*"), ranged), step)
    entry = st.one_of(st.just("*"), single, ranged, stepped)
    return st.lists(entry, min_size=1, max_size=3).map(",".join)


EXPRESSIONS = st.tuples(
    field(0, 59),
    field(0, 23),
    field(1, 31),
    field(1, 12, ("jan", "FEB", "Mar", "apr", "May", "jun", "jul", "aug", "sep", "oct", "nov")),
    field(0, 7, ("sun", "MON", "Tue", "wed", "thu", "fri", "sat")),
).map(" ".join)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


@FEW
@given(EXPRESSIONS, MOMENTS)
def test_agrees_with_cronsim(conn: Conn, expression: str, moment: datetime) -> None:
    end = moment.replace(year=moment.year + 2)
    theirs = takewhile(lambda time: time <= end, CronSim(expression, moment))
    ours = conn.execute(
        "select due from cron_compat.due_between(%s, %s, %s) as due limit 20",
        [expression, moment, end],
    )
    first = [time for (time,) in ours]
    assert first == list(islice(theirs, 20))
    if first:
        assert one(conn, "select cron_compat.next_due(%s, %s)", expression, moment) == first[0]


@FEW
@given(
    st.text().filter(lambda text: "\0" not in text) | st.text("0123456789*/-,$@ \t\n#secondhourly")
)
def test_any_text_is_a_schedule_or_invalid(conn: Conn, text: str) -> None:
    # What is no Unicode text does not reach a server.
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    parse(conn, text)
