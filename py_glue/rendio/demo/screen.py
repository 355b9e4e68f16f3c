"""What a person sees, as plain text: in a log, in a file, or where rich is not installed."""

import textwrap
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import zip_longest

import click

from rendio.demo.report import Check, Table

WIDEST = 100
PARTS = 5  # how often a long stage tells how far it is


class Stage:
    """A piece of work under way; `result` is shown once it is done."""

    result = ""

    def step(self, text: str, done: int = 0) -> None:
        """Tell what is being done, and how many of the stage's total are."""


class CountingStage(Stage):
    """Tells a few times how far it is, where the total is worth it."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._told = 0

    def step(self, text: str, done: int = 0) -> None:
        if done < self._total and done * PARTS // self._total > self._told:
            self._told = done * PARTS // self._total
            click.echo(f"    {done:,} of {self._total:,}  {text}")


class Screen:
    """Plain text of at most WIDEST columns."""

    width = WIDEST

    def say(self, text: str = "") -> None:
        click.echo(text)

    @contextmanager
    def stage(self, doing: str, total: int = 0) -> Iterator[Stage]:
        """Show that something is being done, then its result and how long it took."""
        started = time.monotonic()
        stage = CountingStage(total) if total >= 1000 else Stage()
        yield stage
        self.finished(stage.result, time.monotonic() - started)

    def finished(self, result: str, seconds: float) -> None:
        self.say(f"  {result:<{self.width - 12}} {seconds:>7.1f} s")

    def queries(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.say(textwrap.indent(text, "    ") + "\n")

    def table(self, table: Table) -> None:
        heads, *rows, foot = table.cells
        widths = self._widths(table.cells)
        rule = "  " + "─" * (sum(widths) + 2 * len(widths) - 2)
        self.say()
        for cells in (heads, None, *rows, None, foot):
            self.say("\n".join(_aligned(cells, widths)) if cells else rule)

    def _widths(self, cells: list[list[str]]) -> list[int]:
        """The columns' widths: as their texts need, or the two long ones cut to what there is."""
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        excess = max(0, sum(widths) + 2 * len(widths) - self.width)
        widths[-3] -= (excess + 1) // 2
        widths[-2] -= excess // 2
        return widths

    def paragraph(self, text: str) -> None:
        self.say()
        for line in textwrap.wrap(text, self.width - 4, break_on_hyphens=False):
            self.say(f"  {line}")

    def proof(self, checks: list[Check]) -> None:
        self.say()
        claim = max(len(check.claim) for check in checks)
        for check in checks:
            found = textwrap.wrap(check.found, self.width - claim - 6) or [""]
            self.say(f"  {'✓' if check.ok else '✗'} {check.claim:<{claim}}  {found[0]}")
            for line in found[1:]:
                self.say(" " * (claim + 6) + line)

    def verdict(self, text: str, ok: bool) -> None:
        self.say(f"\n  {text}")


class Silence(Screen):
    """For machines, which want the outcome alone."""

    def say(self, text: str = "") -> None:
        pass

    @contextmanager
    def stage(self, doing: str, total: int = 0) -> Iterator[Stage]:
        yield Stage()


def _aligned(cells: list[str], widths: list[int]) -> Iterator[str]:
    """The lines of one row; the last column is flush right."""
    wrapped = [textwrap.wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for parts in zip_longest(*wrapped, fillvalue=""):
        texts = [f"{part:<{width}}" for part, width in zip(parts, widths, strict=True)]
        texts[-1] = f"{parts[-1]:>{widths[-1]}}"
        yield f"  {'  '.join(texts)}".rstrip()
