"""The TAP reader's verdicts, which are those of Perl's TAP::Parser."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pgtap_runner.tap import Reader, Report


def read(text: str, *, complete: bool = True) -> Report:
    reader = Reader()
    for row in text.splitlines():
        reader.feed(row)
    return reader.finish(complete=complete)


def test_reads_plan_and_assertions() -> None:
    report = read("1..2\nok 1 - first\nok 2 - second")
    assert report.ok
    assert report.planned == 2
    assert [(a.number, a.name) for a in report.assertions] == [(1, "first"), (2, "second")]


def test_plan_may_come_last() -> None:
    assert read("ok 1\nok 2\n1..2").ok


def test_failing_assertion_keeps_its_diagnostics() -> None:
    reader = Reader()
    reader.feed("1..2", 1)
    reader.feed('not ok 1 - a\n# Failed test 1: "a"\n#         have: 1\n#         want: 2', 4)
    reader.feed("ok 2 - b", 6)
    reader.feed("# Looks like you failed 1 test of 2", 7)
    report = reader.finish()
    (failure,) = report.failures
    assert not report.ok
    assert failure.line == 4
    assert failure.diagnostics[1:] == ["#         have: 1", "#         want: 2"]
    assert report.diagnostics == ["# Looks like you failed 1 test of 2"]


def test_several_assertions_in_one_row() -> None:
    reader = Reader()
    reader.feed("1..3")
    reader.feed("ok 1 # SKIP slow\nok 2 # SKIP slow\r\nok 3 - c", 9)
    report = reader.finish()
    assert report.ok
    assert [(a.directive, a.reason, a.line) for a in report.assertions] == [
        ("SKIP", "slow", 9),
        ("SKIP", "slow", 9),
        ("", "", 9),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no plan found"),
        ("ok 1", "no plan found"),
        ("1..2 things\nok 1\nok 2", "no plan found"),
        ("1..3\nok 1", "planned 3 but ran 1"),
        ("1..1\nok 1\nok 2", "planned 1 but ran 2"),
        ("1..0 # SKIP not here\nok 1", "planned 0 but ran 1"),
        ("1..2\nok 1\nok 3", "assertion 3 out of sequence: expected 2"),
        ("1..1\nok 1\n1..1", "more than one plan"),
        ("ok 1\n1..2\nok 2", "assertion 2 after the plan"),
    ],
)
def test_broken_streams_are_problems(text: str, problem: str) -> None:
    report = read(text)
    assert not report.ok
    assert any(found.startswith(problem) for found in report.problems), report.problems


def test_an_unplanned_assertion_does_not_pass() -> None:
    report = read("1..1\nok 1\nok 2 - extra")
    assert [a.name for a in report.failures] == ["extra"]


def test_todo_is_no_failure_and_an_unexpected_pass_is_told() -> None:
    report = read("1..3\nnot ok 1 - a # TODO later\nok 2 - b # todo soon\nok 3")
    assert report.ok
    assert [(a.reason, a.todo_passed) for a in report.assertions] == [
        ("later", False),
        ("soon", True),
        ("", False),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "not ok 1 - see issue #5 # TODO fix",  # the first # is not the directive's
        r"not ok 1 - escaped \# TODO",
        "not ok 1 - a # TODOS",
        "not ok 1 - a # SKIP skipped tests must pass",
    ],
)
def test_what_is_not_a_todo_fails(line: str) -> None:
    assert not read(f"1..1\n{line}").ok


def test_skip_all() -> None:
    report = read("1..0 # SKIP no pg_cron here")
    assert report.ok
    assert report.skip_all == "no pg_cron here"
    assert read("1..0").skip_all == ""
    assert read("1..1\nok 1").skip_all is None


def test_bail_out_ends_everything() -> None:
    report = read("1..3\nok 1\nBail out!  disk full\nnot ok 2")
    assert not report.ok
    assert report.bail_out == "disk full"
    assert len(report.assertions) == 1
    assert report.problems == []


def test_other_output_and_subtests_are_ignored() -> None:
    assert read("a row|2\n\n1..1\n    not ok 1 - inner\nok 1 - outer\nokay\nnotok 2").ok


def test_a_stream_cut_short_by_an_error_keeps_what_it_said() -> None:
    report = read("1..3\nok 1\nnot ok 2 - b", complete=False)
    assert report.problems == []
    assert [a.name for a in report.failures] == ["b"]


@dataclass(frozen=True)
class Line:
    ok: bool
    directive: str
    name: str

    def tap(self, number: int) -> str:
        directive = f" # {self.directive} why" if self.directive else ""
        return f"{'' if self.ok else 'not '}ok {number} - {self.name}{directive}"


LINES = st.lists(
    st.builds(
        Line,
        st.booleans(),
        st.sampled_from(["", "TODO", "SKIP"]),
        st.text(st.characters(codec="utf-8", exclude_characters="#\\\n\r"), max_size=20),
    ),
    max_size=8,
)
NOISE = st.sampled_from(["", "row|1", "# a comment", "    ok 7", "1..", "TAP version"])


@settings(deadline=None)
@given(LINES, st.integers(-2, 2), st.booleans(), st.lists(NOISE, max_size=8))
def test_verdict_over_generated_streams(
    lines: list[Line], off: int, plan_last: bool, noise: list[str]
) -> None:
    planned = max(0, len(lines) + off)
    body = [line.tap(number) for number, line in enumerate(lines, start=1)]
    for position, text in enumerate(noise):
        body.insert(position * 2, text)
    plan = [f"1..{planned}"]
    reader = Reader()
    for row in body + plan if plan_last else plan + body:
        reader.feed(row)
    report = reader.finish()
    fine = all(line.ok or line.directive == "TODO" for line in lines)
    assert report.ok == (fine and planned == len(lines))
    assert len(report.assertions) == len(lines)
    assert sum(a.todo_passed for a in report.assertions) == sum(
        line.ok and line.directive == "TODO" for line in lines
    )


@settings(deadline=None)
@given(st.text())
def test_any_text_gets_a_verdict(text: str) -> None:
    reader = Reader()
    reader.feed(text)
    reader.finish()
