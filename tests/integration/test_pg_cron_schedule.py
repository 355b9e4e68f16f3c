"""Accepted and refused like the real pg_cron, whose 1.4 is the one that Debian 12 has."""

from itertools import chain

import psycopg
import pytest
from pg_cron_compat import parse
from servers import Cluster

MACROS = "hourly daily midnight weekly monthly yearly annually reboot restart every_minute Hourly"

# Forms of one field, by its lowest and highest number; the other four are stars.
FORMS = """
{low} {high} {below} {above} 0{high} {low}-{high} {high}-{high} {low}-{above} {below}-{high}
{low},{high} {low},,{high} {low}, ,{low} {low}-{high}/2 {low}-{high}/0 {low}/2 {low}- -{high}
*/1 */{high} */0 */ */x * *,{low} {low},* ** *x *-{low} {low};x {low}.5 {low}x x x-{low}
{low}-{high}-{low} {low}-{high}/2/2 {low}-jan jan sun-tue MON Feb-mar ? L # $x @ é
"""
FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))

WHOLE = (
    *("", " ", "#", "* * * *", "* * * *\n*", "5 minutes", "five * * * *", "* * * * * *"),
    *("* * * * * ?", "  * * * * *", "\t*\t*  * * *  ", "\n* * * * *", "# note\n* * * * *"),
    *("* * * * *\n", "* * * * *\r", "*\v* * * *", "*\u00a0* * * * *", "0 0 1,15 */2 5"),
    *("0 9 * JAN-mar Mon-Fri", " " * 990 + "* * * * *", " " * 991 + "* * * * *"),
)


def one_field_forms() -> list[str]:
    expressions = []
    for place, (low, high) in enumerate(FIELDS):
        for form in FORMS.split():
            fields = ["*"] * 5
            fields[place] = form.format(low=low, high=high, below=low - 1, above=high + 1)
            expressions.append(" ".join(fields))
    return expressions


# What 1.6, whose grammar ours is, takes and 1.4 doesn't, and the other way round.
ONLY_IN_1_6 = {
    "59 seconds": "intervals came with 1.5",
    "  5 SECONDS": "intervals came with 1.5",
    "1 second": "intervals came with 1.5",
    "0 0 $ * *": "the last day of the month came with 1.5",
}
ONLY_IN_1_4 = {
    "*/60 * * * *": "1.6 refuses a step longer than the field",
    "* */24 * * *": "1.6 refuses a step longer than the field",
    "0-9/60 * * * *": "1.6 refuses a step longer than the field",
    "50-10 * * * *": "ours: 1.4 never runs it, 1.6 at times nobody meant",
    "0 0 * * sat-sun": "ours: 1.4 never runs it, 1.6 at times nobody meant",
    "4294967296 * * * *": "ours: pg_cron overflows and takes it for 0",
}


def our_refusal(schedule: str) -> str | None:
    try:
        parse(schedule)
    except ValueError as error:
        return str(error)
    return None


def real_refusal(connection: psycopg.Connection, schedule: str) -> str | None:
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("select cron.schedule(%s, 'select 1')", [schedule])
    except psycopg.errors.InvalidParameterValue as error:
        return error.diag.message_primary
    return None


def test_accepts_what_pg_cron_accepts(cron_db: str, server: Cluster) -> None:
    schedules = [*one_field_forms(), *WHOLE, *(f"@{name}" for name in MACROS.split())]
    with server.admin(server.cron_database) as connection:
        connection.execute("create extension if not exists pg_cron")
        version = connection.execute(
            "select extversion from pg_extension where extname = 'pg_cron'"
        ).fetchone()
        if version is None or not version[0].startswith("1.4"):
            pytest.skip(f"the differences to pg_cron {version} are not listed")
        real = {
            schedule: real_refusal(connection, schedule)
            for schedule in chain(schedules, ONLY_IN_1_6, ONLY_IN_1_4)
        }
    ours = {schedule: our_refusal(schedule) for schedule in real}
    differing = {schedule for schedule in real if real[schedule] != ours[schedule]}
    assert differing == ONLY_IN_1_6.keys() | ONLY_IN_1_4.keys()
    assert {schedule for schedule in differing if ours[schedule] is None} == ONLY_IN_1_6.keys()
    accepted = sum(refusal is None for refusal in real.values())
    print(f"{len(real)} schedules, {accepted} of them accepted by pg_cron {version[0]}")
