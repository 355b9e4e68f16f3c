"""2,000 schedules: taken, refused and due as by the real pg_cron, the 1.4 of Debian 12."""

import random
import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import combinations, product
from typing import Any

import psycopg
import pytest
from pg_cron_clock import SetClock, Start, server_with_a_clock
from pg_cron_compat.install import install_schedules

pytestmark = [pytest.mark.once, pytest.mark.thorough]

Conn = psycopg.Connection[Any]
FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
NAMES: tuple[tuple[str, ...], ...] = (
    *((),) * 3,
    ("jan", "FEB", "Mar", "apr", "MAY", "jun", "jul", "aug", "sep", "oct", "nov", "Dec"),
    ("sun", "MON", "Tue", "wed", "thu", "FRI", "sat"),
)

# Forms of one field, by its lowest and highest number.
FORMS = re.findall(
    r"\S+",
    """
{low} {high} {below} {above} 0{high} {low}-{high} {high}-{high} {low}-{above} {below}-{high}
{low},{high} {low},,{high} {low}, ,{low} {low}-{high}/2 {low}-{high}/0 {low}/2 {low}- -{high}
*/1 */{high} */0 */ */x * *,{low} {low},* ** *x *-{low} {low};x {low}.5 {low}x x x-{low}
{low}-{high}-{low} {low}-{high}/2/2 {low}-jan jan sun-tue MON Feb-mar ? L # $x @ é
""",
)
# Every pair of fields has every pair of these.
PAIRED = (
    *("*", "*/2", "{low}", "{high}", "{low}-{middle}", "{low}-{high}/3", "{low},{middle}"),
    *("{middle}/2", "{above}"),
)

WHOLE = (
    *("", " ", "#", "* * * *", "* * * *\n*", "5 minutes", "five * * * *", "* * * * * *"),
    *("* * * * * ?", "  * * * * *", "\t*\t*  * * *  ", "\n* * * * *", "# note\n* * * * *"),
    *("* * * * *\n", "* * * * *\r", "*\v* * * *", "*\u00a0* * * * *", "0 0 1,15 */2 5"),
    *("0 9 * JAN-mar Mon-Fri", " " * 990 + "* * * * *", " " * 991 + "* * * * *"),
    *("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"),
    *("@reboot", "@restart", "@every_minute", "@Hourly", "@", "@daily x", "@daily,"),
    *("59 seconds", "  5 SECONDS", "1 second", "0 0 $ * *", "60 seconds", "5 second "),
    *("*/60 * * * *", "* */24 * * *", "0-9/60 * * * *", "50-10 * * * *", "0 0 * * sat-sun"),
    "4294967296 * * * *",
)

# What 1.6, whose grammar ours is, takes and 1.4 does not, and the other way round.
ONLY_IN_1_6 = {
    "intervals came with 1.5": r"(?i)\s*\+?\d+\s*seconds?\s*",
    "the last day of the month came with 1.5": r"\s*\S+\s+\S+\s+\$\s.*",
}
ONLY_IN_1_4 = (
    "1.6 refuses a step longer than the field",
    "ours: a range that runs backwards is never due in 1.4, and at times nobody meant in 1.6",
    "ours: pg_cron overflows and takes it for a small number",
)


def one_field_forms() -> Iterator[str]:
    for place, form in product(range(5), FORMS):
        yield _with({place: form})


def paired_forms() -> Iterator[str]:
    for (one, other), (form, other_form) in product(
        combinations(range(5), 2), product(PAIRED, repeat=2)
    ):
        yield _with({one: form, other: other_form})


def _with(forms: dict[int, str]) -> str:
    """An expression of stars with some fields in the forms given."""
    fields = ["*"] * 5
    for place, form in forms.items():
        low, high = FIELDS[place]
        fields[place] = form.format(
            low=low, high=high, below=low - 1, above=high + 1, middle=(low + high) // 2
        )
    return " ".join(fields)


def grammatical(chance: random.Random) -> str:
    """An expression of the grammar, at random."""

    def entry(place: int) -> str:
        low, high = FIELDS[place]
        first, last = sorted((chance.randint(low, high), chance.randint(low, high)))
        step = chance.randint(1, high - low)
        forms = ["*", f"{first}", f"{first}-{last}", f"*/{step}", f"{first}-{last}/{step}"]
        return chance.choice([*forms, chance.choice(NAMES[place] or ("*",))])

    lists = (
        ",".join(entry(place) for _ in range(chance.choice((1, 1, 1, 2, 3)))) for place in range(5)
    )
    return chance.choice((" ", " ", "  ", "\t")).join(lists)


def near_miss(chance: random.Random) -> str:
    """An expression of the grammar with one character changed, added or removed."""
    text = grammatical(chance)
    place = chance.randrange(len(text))
    other = chance.choice("0123456789*/-,$@ \t\n#x;.")
    return text[:place] + chance.choice(("", other, other + text[place])) + text[place + 1 :]


def schedules() -> list[str]:
    chance = random.Random(16)
    made = [*WHOLE, *one_field_forms(), *paired_forms()]
    made += [grammatical(chance) for _ in range(600)]
    made += [near_miss(chance) for _ in range(600)]
    return list(dict.fromkeys(made))


def known_difference(schedule: str) -> tuple[str, str] | None:
    """The version that takes a schedule which the other refuses, and why."""
    for reason, pattern in ONLY_IN_1_6.items():
        if re.fullmatch(pattern, schedule, re.DOTALL):
            return "1.6", reason
    fields = re.split(r"[ \t]+", schedule.strip(" \t"))
    for (low, high), field in zip(FIELDS, fields, strict=False):
        if any(int(number) > 2**31 for number in re.findall(r"\d+", field)):
            return "1.4", ONLY_IN_1_4[2]
        if any(int(step) > high for step in re.findall(r"/(\d+)", field)):
            return "1.4", ONLY_IN_1_4[0]
        ends = re.findall(r"(?:^|,)(\w+)-(\w+)", field)
        if any(_number(first, low) > _number(last, low) for first, last in ends):
            return "1.4", ONLY_IN_1_4[1]
    return None


def _number(text: str, low: int) -> int:
    for names in NAMES:
        if text.lower() in (name.lower() for name in names):
            return low + [name.lower() for name in names].index(text.lower())
    return int(text) if text.isdigit() else -1


@pytest.fixture(scope="module")
def pg_cron() -> Iterator[tuple[Conn, SetClock]]:
    """A superuser where pg_cron is, and where jobs fail at once instead of running."""
    with server_with_a_clock() as (start, set_clock):
        conn = _begin(start)
        yield conn, set_clock
        conn.close()


def _begin(start: Start) -> Conn:
    cluster = start(
        {
            "shared_preload_libraries": "pg_cron",
            "cron.database_name": "postgres",
            "cron.host": "/nowhere",
        }
    )
    conn = psycopg.connect(cluster.superuser_url, autocommit=True)
    conn.execute("create extension pg_cron")
    (version,) = conn.execute("select extversion from pg_extension where extname = 'pg_cron'")
    if not version[0].startswith("1.4"):
        pytest.skip(f"the differences to pg_cron {version[0]} are not listed")
    install_schedules(conn)
    conn.execute(
        "create function pg_temp.refusal(s text) returns text language plpgsql as $$"
        " begin perform cron.schedule(s, 'select'); return null;"
        " exception when invalid_parameter_value then return sqlerrm; end $$"
    )
    # 1.4 tells no time of a run that could not connect.
    conn.execute(
        "create function stamp() returns trigger language plpgsql as"
        " 'begin new.start_time := clock_timestamp(); return new; end';"
        "create trigger stamp before insert on cron.job_run_details"
        " for each row execute function stamp()"
    )
    return conn


def test_takes_what_pg_cron_takes(pg_cron: tuple[Conn, SetClock]) -> None:
    conn, _ = pg_cron
    made = schedules()
    with conn.transaction(force_rollback=True):
        rows = conn.execute(
            "select s, pg_temp.refusal(s), cron_compat.parse(s) is null"
            " from unnest(%s::text[]) as s",
            [made],
        ).fetchall()
    explained = set()
    for schedule, theirs, ours in rows:
        assert theirs in (None, f"invalid schedule: {schedule}")
        difference = known_difference(schedule)
        if (theirs is None) == ours:
            assert difference, f"{schedule!r}: pg_cron {'takes' if ours else 'refuses'} it"
            assert difference[0] == ("1.4" if ours else "1.6")
            explained.add(difference[1])
    assert explained == {*ONLY_IN_1_6, *ONLY_IN_1_4}
    taken = sum(theirs is None for _, theirs, _ in rows)
    print(f"{len(rows)} schedules, {taken} of them taken by pg_cron")
    assert len(rows) >= 2000
    assert taken >= 1000


# Minutes in which much is due that is not in others: ends of hours, days, months and fields.
MOMENTS = """
2030-01-31 23:59  2030-02-28 00:00  2030-03-01 00:30  2030-05-31 11:29  2030-06-07 00:00
2030-07-15 06:15  2030-09-16 11:29  2031-01-01 00:00  2031-01-16 23:20  2032-02-29 00:00
2032-06-01 11:00  2032-12-05 16:40
""".strip()


def test_is_due_in_the_minutes_of_pg_cron(pg_cron: tuple[Conn, SetClock]) -> None:
    conn, set_clock = pg_cron
    conn.execute(
        "create table taken as select s as schedule, cron_compat.parse(s) as parsed"
        " from unnest(%s::text[]) as s where pg_temp.refusal(s) is null",
        [schedules()],
    )
    moments = [datetime.fromisoformat(f"{text}+00:00") for text in re.split(r"\s\s+|\n", MOMENTS)]
    conn.execute(
        "create table expected as select schedule, minute"
        " from taken, unnest(%s::timestamptz[]) as minute where exists (select from"
        "  cron_compat.due_between(parsed, minute - interval '1 minute', minute))",
        [moments],
    )
    # What only 1.4 takes is never due here; that is tested above.
    conn.execute(
        "delete from cron.job where not exists (select from taken"
        " where taken.schedule = job.schedule and not parsed is null)"
    )
    for moment in moments:
        set_clock(moment + timedelta(seconds=5))
        _await_runs(conn, moment)
    runs = conn.execute(
        "select schedule, date_trunc('minute', start_time) from cron.job_run_details"
        " join cron.job using (jobid)"
    ).fetchall()
    expected = conn.execute("select schedule, minute from expected").fetchall()
    # 1.6 sets no month for them, so they are never due; 1.4 did not have that mistake yet.
    new_year = datetime.fromisoformat("2031-01-01T00:00+00:00")
    expected += [(name, new_year) for name in ("@yearly", "@annually")]
    assert set(runs) ^ set(expected) == set()
    assert len(runs) == len(expected)
    print(f"{len(runs)} runs of {len(set(s for s, _ in runs))} schedules in {len(moments)} minutes")


def _await_runs(conn: Conn, moment: datetime) -> None:
    """Wait until as many runs as expected have begun in a minute; who began is compared later."""
    deadline = time.monotonic() + 15
    while conn.execute(
        "select (select count(*) from expected where minute = %(moment)s)"
        " > (select count(*) from cron.job_run_details"
        "    where date_trunc('minute', start_time) = %(moment)s)",
        {"moment": moment},
    ).fetchone() == (True,):
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)
