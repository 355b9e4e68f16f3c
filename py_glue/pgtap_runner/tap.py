"""Read TAP, the Test Anything Protocol, as strictly as ``prove`` does.

The verdict is the one of Perl's TAP::Parser (TAP version 12), which ``pg_prove`` uses: what it
calls a parse error is a problem here, and lines that are no TAP (results of other queries) are
ignored. Subtests are indented and count no more than other text; what they said is kept with the
line that sums them up.
"""

import re
from dataclasses import dataclass, field

_PLAN = re.compile(r"1\.\.([0-9]{1,18})\s*(.*)\Z", re.DOTALL)
_SKIP_ALL = re.compile(r"#\s*SKIP\S*\s+(.*)", re.IGNORECASE)
_TEST = re.compile(r"(not )?ok\b\s*([0-9]{1,18})?\s*(.*)\Z", re.DOTALL)
# The first unescaped # must be the directive's: prove reads "issue #5 # TODO" as plain text.
_DIRECTIVE = re.compile(
    r"([^\\#]*(?:\\.[^\\#]*)*)#\s*(SKIP|TODO)\b\s*(.*)\Z", re.IGNORECASE | re.DOTALL
)
_BAIL_OUT = re.compile(r"\s*Bail out!\s*(.*)", re.DOTALL)
_VERSION = re.compile(r"TAP\s+version\s+([0-9]+)\s*\Z", re.IGNORECASE)
_SUBTEST = re.compile(r"\s+(?:#|(?:not )?ok\b|1\.\.[0-9])")


@dataclass(slots=True)
class Assertion:
    """One ``ok`` or ``not ok`` line and the diagnostics that follow it."""

    ok: bool
    number: int
    name: str
    directive: str = ""  # "TODO", "SKIP" or nothing
    reason: str = ""
    line: int | None = None  # of the statement that printed it
    planned: bool = True
    diagnostics: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return self.planned and (self.ok or self.directive == "TODO")

    @property
    def todo_passed(self) -> bool:
        return self.ok and self.directive == "TODO"

    def __str__(self) -> str:
        """Say in one line what it says, the way TAP does."""
        said = f"{'ok' if self.ok else 'not ok'} {self.number}"
        if self.name:
            said += f" - {self.name}"
        if self.directive:
            said += f" # {self.directive} {self.reason}".rstrip()
        return said if self.planned else f"{said} (not planned)"

    def details(self) -> list[str]:
        """Return the diagnostics without the line that repeats the name."""
        heading = f'# Failed test {self.number}: "{self.name}"'
        return [line for line in self.diagnostics if line != heading]


@dataclass(slots=True)
class Report:
    """What a TAP stream says, and everything wrong with it."""

    planned: int | None = None
    skip_all: str | None = None  # the reason, when the plan is 1..0
    bail_out: str | None = None
    assertions: list[Assertion] = field(default_factory=list)
    diagnostics: list[str] = field(default_factory=list)  # of no assertion in particular
    problems: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # everything that is TAP, subtests too

    @property
    def failures(self) -> list[Assertion]:
        return [a for a in self.assertions if not a.passed]

    @property
    def ok(self) -> bool:
        return not self.failures and not self.problems and self.bail_out is None


class Reader:
    """Collect lines into a report; ``finish`` checks the plan and returns it."""

    def __init__(self) -> None:
        self.report = Report()
        self._late_plan = False  # the plan came after an assertion: nothing may follow it
        self._latest: Assertion | None = None  # of the statement being read
        self._version: int | None = None
        self._subtest: list[str] = []  # what no assertion has summed up yet

    def feed(self, text: str, line: int | None = None) -> None:
        """Read all that the statement at ``line`` of the file printed."""
        self._latest = None
        for tap_line in text.split("\n"):
            if self.report.bail_out is not None:
                return
            self._read(tap_line.rstrip("\r"), line)

    def finish(self, *, complete: bool = True) -> Report:
        """Check the plan. An incomplete stream is excused from having one."""
        report = self.report
        if report.bail_out is not None or not complete:
            return report
        ran = len(report.assertions)
        if report.planned is None:
            report.problems.append("no plan found: call plan(n), or no_plan() and finish()")
        elif report.planned != ran:
            report.problems.append(f"planned {report.planned} but ran {ran}")
        return report

    def _read(self, text: str, line: int | None) -> None:
        if match := _TEST.match(text):
            self._assertion(match, line)
        elif text.startswith("#"):
            self._diagnostic(text)
        elif match := _PLAN.match(text):
            self._plan(int(match[1]), match[2].strip())
        elif match := _BAIL_OUT.match(text):
            self.report.bail_out = match[1].strip()
        elif match := _VERSION.match(text):
            self._declared(int(match[1]))
        elif _SUBTEST.match(text):
            self._subtest.append(text)
        else:
            return
        self.report.lines.append(text)

    def _declared(self, version: int) -> None:
        report = self.report
        if self._version is not None or report.planned is not None or report.assertions:
            report.problems.append("the TAP version must come before anything else")
        elif version != 13:
            report.problems.append(f"TAP version {version} is none that can be declared: 13 is")
        self._version = version

    def _diagnostic(self, text: str) -> None:
        # finish() and diag() are statements of their own: what they say is about the file.
        (self._latest or self.report).diagnostics.append(text)

    def _assertion(self, match: re.Match[str], line: int | None) -> None:
        report = self.report
        expected = len(report.assertions) + 1
        number = int(match[2]) if match[2] else expected
        if number != expected:
            report.problems.append(f"assertion {number} out of sequence: expected {expected}")
        if self._late_plan:
            report.problems.append(f"assertion {number} after the plan at the end")
            self._late_plan = False
        name, directive, reason = match[3], "", ""
        if found := _DIRECTIVE.match(name):
            name, directive, reason = found[1], found[2].upper(), found[3]
        name = name.strip().removeprefix("-").strip()
        planned = report.planned is None or expected <= report.planned
        ok, subtest, self._subtest = match[1] is None, self._subtest, []
        self._latest = Assertion(
            ok, number, name, directive, reason.strip(), line, planned, [] if ok else subtest
        )
        report.assertions.append(self._latest)

    def _plan(self, count: int, tail: str) -> None:
        report = self.report
        if count > 0 and tail:
            return  # no plan to prove either: "1..3 things"
        if report.planned is not None:
            report.problems.append("more than one plan found")
            return
        report.planned = count
        self._late_plan = bool(report.assertions)
        if count == 0:
            found = _SKIP_ALL.match(tail)
            report.skip_all = found[1].strip() if found else ""
