"""Show results the way pg_prove does: a line for each file, what failed, a summary."""

import shutil
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from itertools import groupby

import click

from .core import Result
from .tap import Report

QUIETEST, QUIET, NORMAL, VERBOSE = -2, -1, 0, 1
_REFRESH = 0.1  # seconds


class Console:
    """Prints plain lines; on a terminal colours them and shows what runs."""

    def __init__(
        self, names: Sequence[str], *, verbosity: int, timer: bool, color: bool | None
    ) -> None:
        self._width = max(map(len, names), default=0)
        self._verbosity = verbosity
        self._timer = timer
        self._color = color
        self._live = sys.stdout.isatty() and verbosity > QUIETEST
        self._running: dict[str, Report] = {}
        self._shown = 0.0
        self._lock = threading.Lock()

    def progress(self, name: str, report: Report) -> None:
        """Show on a terminal how far the running tests are; any thread may call this."""
        if not self._live:
            return
        with self._lock:
            self._running[name] = report
            if time.monotonic() < self._shown + _REFRESH:
                return
            self._shown = time.monotonic()
            parts = [
                f"{self._heading(name)} {len(report.assertions)}/{report.planned or '?'}"
                for name, report in self._running.items()
            ]
            click.echo("\r" + "  ".join(parts)[: _columns() - 1] + "\x1b[K", nl=False)

    def done(self, result: Result) -> None:
        """Print a file's verdict and, if it failed, why."""
        with self._lock:
            self._running.pop(result.name, None)
            if self._live:
                click.echo("\r\x1b[K", nl=False)
        if self._verbosity <= QUIETEST:
            return
        verdict = self._verdict(result)
        if result.ok and self._verbosity < VERBOSE:
            self._print(f"{self._heading(result.name)} {verdict}")
            return
        self._print(self._heading(result.name))
        if self._verbosity >= VERBOSE:
            self._print("\n".join(result.report.lines))
        if not result.ok and self._verbosity >= NORMAL:
            for assertion in result.report.failures:
                self._print(_red(result.tell(assertion)))
            self._print("\n".join([*result.report.problems, *result.ending()]))
        self._print(verdict)

    def summary(self, results: Sequence[Result], seconds: float) -> bool:
        """Print what failed and the totals; return whether all passed."""
        passed = all(result.ok for result in results)
        tests = sum(len(result.report.assertions) for result in results)
        worth_telling = [r for r in results if not r.ok or r.todo_passed]
        if worth_telling:
            self._print("\nTest Summary Report\n-------------------")
        for result in worth_telling:
            self._print("\n".join(_summary_of(result)))
        if passed and tests:
            self._print(click.style("All tests successful.", fg="green"))
        self._print(f"Files={len(results)}, Tests={tests}, {seconds:5.2f} wallclock secs")
        verdict = ("PASS" if tests else "NOTESTS") if passed else _red("FAIL")
        self._print(f"Result: {verdict}")
        return passed

    def _heading(self, name: str) -> str:
        return f"{name} {'.' * (self._width - len(name) + 2)}"

    def _verdict(self, result: Result) -> str:
        report = result.report
        if not result.ok:
            of = max(report.planned or 0, len(report.assertions))
            failed = of - sum(a.passed for a in report.assertions)
            verdict = _red(f"Failed {failed}/{of} tests" if of else "No tests run")
        elif report.skip_all is not None:
            reason = report.skip_all or "(no reason given)"
            verdict = click.style(f"skipped: {reason}", fg="yellow")
        else:
            verdict = click.style("ok", fg="green")
        return f"{verdict} {result.seconds * 1000:8.0f} ms" if self._timer else verdict

    def _print(self, text: str) -> None:
        if text:
            click.echo(text, color=self._color)


def _summary_of(result: Result) -> list[str]:
    report = result.report
    lines = [f"{result.name} (Tests: {len(report.assertions)} Failed: {len(report.failures)})"]
    failed = [a.number for a in report.failures]
    todo_passed = [a.number for a in report.assertions if a.todo_passed]
    for label, numbers in (("Failed test", failed), ("TODO passed", todo_passed)):
        if numbers:
            plural = "s" if len(numbers) > 1 and label.startswith("Failed") else ""
            lines.append(f"  {label}{plural}:  {_ranges(numbers)}")
    lines += [f"  {problem}" for problem in report.problems]
    if report.bail_out is not None:
        lines.append(f"  Bail out! {report.bail_out}".rstrip())
    if result.error is not None:
        lines.append("  " + result.error.partition("\n")[0])
    return lines


def _ranges(numbers: Iterable[int]) -> str:
    """Write 1, 2, 3, 7 as ``1-3, 7``."""
    runs = []
    for _, pairs in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in pairs]
        runs.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ", ".join(runs)


def _red(text: str) -> str:
    return click.style(text, fg="red")


def _columns() -> int:
    return shutil.get_terminal_size().columns
