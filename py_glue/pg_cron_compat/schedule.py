"""The schedule grammar of pg_cron 1.6, and when a schedule is due.

    minute hour day-of-month month day-of-week     * , - / and names of months and weekdays;
                                                   $ is the last day of the month
    [1-59] seconds
    @hourly @daily @midnight @weekly @monthly @yearly @annually @reboot

Times are UTC (pg_cron's own default, GMT). Like pg_cron, a field ends where its list ends and what
follows up to the next blank is ignored ("5x" is refused, "5;x" is 5), and so is a sixth field.

On purpose not like pg_cron, which takes them and then runs at times nobody meant: ranges that run
backwards ("50-10") and numbers that only fit after an overflow ("4294967296").
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_EMPTY_LINES = re.compile(r"\A(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*")
_ENTRY = re.compile(r"(\*|[0-9A-Za-z]+(?:-([0-9A-Za-z]*))?)(?:/([0-9A-Za-z]*))?")
_SECONDS = re.compile(
    r"[ \t\n\v\f\r]*\+?([0-9]+)[ \t\n\v\f\r]*second(?:s[ \t\n\v\f\r]*)?", re.IGNORECASE | re.ASCII
)
_MACROS = {
    "hourly": "0 * * * *",
    "daily": "0 0 * * *",
    "midnight": "0 0 * * *",
    "weekly": "0 0 * * 0",
    "monthly": "0 0 1 * *",
}
_MAX_LENGTH = 999  # bytes

# The longest wait for a possible date: 29 February on one weekday, across a year like 2100.
_LONGEST_WAIT = 366 * 41


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed schedule. With ``seconds`` or ``reboot`` set, the fields are empty."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()  # 0 is Sunday
    last_day: bool = False  # of the month
    both_days: bool = True  # day of month and weekday must match, not just one
    seconds: int | None = None
    reboot: bool = False  # due once, when the scheduler starts

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first time after ``moment``, or nothing if there is none.

        An interval counts from the start of the last run: that is the moment to give.
        """
        return next(self._after(moment), None)

    def due_between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yield the times after ``start`` up to and including ``end``."""
        return takewhile(lambda due: due <= end, self._after(start))

    def _after(self, moment: datetime) -> Iterator[datetime]:
        if moment.tzinfo is None:
            raise ValueError("a time without a time zone")
        moment = moment.astimezone(UTC)
        if self.seconds is not None:
            while True:
                moment += timedelta(seconds=self.seconds)
                yield moment
        today = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        for day in self._matching_days(today):
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    due = day.replace(hour=hour, minute=minute)
                    if due > moment:
                        yield due

    def _matching_days(self, day: datetime) -> Iterator[datetime]:
        waited = 0
        while waited < _LONGEST_WAIT:
            if self._matches_day(day):
                yield day
                waited = 0
            day += timedelta(days=1)
            waited += 1

    def _matches_day(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        last = self.last_day and (day + timedelta(days=1)).day == 1
        of_month = last or day.day in self.days
        of_week = day.isoweekday() % 7 in self.weekdays
        return (of_month and of_week) if self.both_days else (of_month or of_week)


def parse(text: str) -> Schedule:
    """Parse a schedule; a ``ValueError`` has the message of pg_cron's error."""
    try:
        if interval := _SECONDS.fullmatch(text):
            return Schedule(seconds=_number(interval[1], 1, 59))
        return _parse_cron(text)
    except _Invalid:
        raise ValueError(f"invalid schedule: {text}") from None


class _Invalid(Exception):
    pass


def _parse_cron(text: str) -> Schedule:
    if len(text.encode()) > _MAX_LENGTH:
        raise _Invalid
    text = _EMPTY_LINES.sub("", text, count=1)
    if text.startswith("@"):
        return _macro(re.split(r"[ \t\n]", text[1:], maxsplit=1)[0])
    fields = re.split(r"[ \t]+", text.partition("\n")[0])
    if len(fields) < 5:
        raise _Invalid
    minute, hour, day, month, weekday = fields[:5]
    last_day = day == "$"
    return Schedule(
        minutes=_list(minute, 0, 59),
        hours=_list(hour, 0, 23),
        days=frozenset() if last_day else _list(day, 1, 31),
        months=_list(month, 1, 12, _MONTHS),
        weekdays=frozenset(number % 7 for number in _list(weekday, 0, 7, _WEEKDAYS)),
        last_day=last_day,
        both_days=day.startswith("*") or weekday.startswith("*"),
    )


def _macro(name: str) -> Schedule:
    if name in ("reboot", "restart"):
        return Schedule(reboot=True)
    if name in ("yearly", "annually"):
        return Schedule()  # pg_cron takes it and, setting a month 0, never runs it
    if name not in _MACROS:
        raise _Invalid
    return _parse_cron(_MACROS[name])


def _list(field: str, low: int, high: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    values: set[int] = set()
    position = 0
    while True:
        entry = _ENTRY.match(field, position)
        if entry is None:
            raise _Invalid
        values.update(_range(entry, low, high, names))
        position = entry.end() + 1
        if field[position - 1 : position] != ",":
            return frozenset(values)


def _range(entry: re.Match[str], low: int, high: int, names: tuple[str, ...]) -> range:
    first, last, step = entry.groups()
    if first == "*":
        start, stop = low, high
    else:
        start = _number(first.partition("-")[0], low, high, names)
        if last is None and step is not None:
            raise _Invalid  # a step needs a range
        stop = start if last is None else _number(last, low, high, names)
    if start > stop:
        raise _Invalid
    return range(start, stop + 1, 1 if step is None else _number(step, 1, high))


def _number(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> int:
    if text.lower() in names:
        return low + names.index(text.lower())
    if not text.isdigit():
        raise _Invalid
    digits = text.lstrip("0") or "0"
    if len(digits) > 2 or not low <= int(digits) <= high:
        raise _Invalid
    return int(digits)
