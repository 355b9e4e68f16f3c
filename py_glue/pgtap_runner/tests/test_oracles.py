"""The TAP reader agrees with two others: PyPI's tap.py and Perl's TAP::Parser, which prove uses."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pgtap_runner.tap import Reader, Report
from tap.line import Plan, Result
from tap.parser import Parser


def read(lines: list[str]) -> Report:
    reader = Reader()
    reader.feed("\n".join(lines))
    return reader.finish()


# --- tap.py: how a line is read -------------------------------------------------------------------

# tap.py takes "okay" and "1..3 things" for TAP, which prove does not, and any # for a directive's.
WORDS = st.text(st.characters(codec="ascii", categories=["L", "N", "Zs"]), max_size=12).map(
    str.strip
)
DIRECTIVES = st.sampled_from(["", " # TODO", " # todo", " # SKIP", " # skip"])
ASSERTIONS = st.builds(
    lambda ok, number, name, directive, reason: (
        f"{ok}{number}{' - ' if name else ''}{name}{directive}{f' {reason}' if directive else ''}"
    ).strip(),
    st.sampled_from(["ok", "not ok"]),
    st.sampled_from(["", " 1", " 2", " 17"]),
    WORDS,
    DIRECTIVES,
    WORDS,
)
PLANS = st.builds(
    lambda count, skip: f"1..0 # SKIP {skip}" if skip else f"1..{count}", st.integers(0, 20), WORDS
)
NOISE = st.sampled_from(["", "# a comment", "    ok 7", "1..", "a row|2", "# TODO x"])


@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(ASSERTIONS, NOISE, PLANS), max_size=8))
def test_lines_are_read_as_tap_py_reads_them(lines: list[str]) -> None:
    theirs = [Parser().parse_line(line) for line in lines]
    results = [line for line in theirs if isinstance(line, Result)]
    plans = [line for line in theirs if isinstance(line, Plan)]
    report = read(lines)
    assert [
        (a.ok, a.name, a.directive == "TODO", a.directive == "SKIP") for a in report.assertions
    ] == [
        (r.ok, r.description.removeprefix("-").strip(), bool(r.todo), bool(r.skip)) for r in results
    ]
    assert report.planned == (plans[0].expected_tests if plans else None)


# --- TAP::Parser: the verdict on a whole stream ---------------------------------------------------

PERL = r"""
use strict; use TAP::Parser; use JSON::PP; $| = 1;
my $json = JSON::PP->new->allow_nonref;
while (my $line = <STDIN>) {
    my $parser = TAP::Parser->new({tap => "\n" . $json->decode($line)});
    my $bailed = JSON::PP::false;
    while (my $result = $parser->next) { $bailed = JSON::PP::true, last if $result->is_bailout }
    print $json->encode($bailed ? {bailed => $bailed} : {
        passed => $parser->has_problems ? JSON::PP::false : JSON::PP::true,
        failed => [map { $_ + 0 } $parser->failed],
        todo_passed => [map { $_ + 0 } $parser->todo_passed],
        ran => $parser->tests_run + 0,
        skip_all => defined $parser->skip_all ? JSON::PP::true : JSON::PP::false,
    }), "\n";
}
"""
STREAM_LINES = st.one_of(
    ASSERTIONS,
    PLANS,
    NOISE,
    st.sampled_from(
        [
            "1..3 things",
            "1..2 # SKIP",
            "1..0 skip",
            "ok1",
            "ok-",
            "okay",
            "notok 1",
            "not  ok 1",
            "ok 1 # TODOS",
            r"not ok 1 - a \# TODO b",
            r"not ok 1 - a \\# TODO b",
            "not ok 1 - a # b # TODO c",
            "not ok 1 - #TODO",
            " ok 1",
            "ok\t1",
            "TAP version 12",
            "Bail out!",
            "  Bail out! why",
        ]
    ),
)


def numbered(lines: list[str], with_plan: str) -> list[str]:
    """Number the assertions and plan them right, so that many streams pass."""
    numbers = 0
    told = []
    for line in lines:
        if line.startswith(("ok ", "not ok ")):
            numbers += 1
            head = "not ok" if line.startswith("not") else "ok"
            line = f"{head} {numbers}{line.removeprefix(head).lstrip(' 0123456789').rjust(1)}"
        told.append(line)
    plan = [f"1..{numbers}"]
    return plan + told if with_plan == "first" else told + plan


STREAMS = st.one_of(
    st.lists(STREAM_LINES, max_size=8),
    st.builds(numbered, st.lists(st.one_of(ASSERTIONS, NOISE)), st.sampled_from(["first", "last"])),
)


def has_tap_parser() -> bool:
    if shutil.which("perl") is None:
        return False
    asked = subprocess.run(["perl", "-MTAP::Parser", "-MJSON::PP", "-e1"], capture_output=True)
    return asked.returncode == 0


@pytest.fixture(scope="module")
def prove() -> Iterator[Callable[[list[str]], dict[str, Any]]]:
    """Ask TAP::Parser about a stream."""
    if not has_tap_parser():
        pytest.skip("Perl's TAP::Parser is not installed")
    command = ["perl", "-e", PERL]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as perl:
        assert perl.stdin
        assert perl.stdout

        def ask(lines: list[str]) -> dict[str, Any]:
            perl.stdin.write(json.dumps("\n".join(lines)).encode() + b"\n")
            perl.stdin.flush()
            return json.loads(perl.stdout.readline())

        yield ask


@settings(max_examples=500, deadline=None)
@given(STREAMS)
def test_streams_are_judged_as_prove_judges_them(
    prove: Callable[[list[str]], dict[str, Any]], lines: list[str]
) -> None:
    report, theirs = read(lines), prove(lines)
    if report.bail_out is not None:
        assert theirs == {"bailed": True}
        return
    assert report.ok == theirs["passed"]
    if not report.problems:  # after a parse error prove goes on counting in ways of its own
        assert theirs == {
            "passed": report.ok,
            "failed": [a.number for a in report.failures],
            "todo_passed": [a.number for a in report.assertions if a.todo_passed],
            "ran": len(report.assertions),
            "skip_all": report.skip_all is not None,
        }
