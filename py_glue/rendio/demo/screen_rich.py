"""The same on a terminal: colours, and bars that move."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
)
from rich.syntax import Syntax
from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text

from rendio.demo.report import Check, Table
from rendio.demo.screen import WIDEST, Screen, Stage


class MovingStage(Stage):
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def step(self, text: str, done: int = 0) -> None:
        self._progress.update(self._task, told=text, completed=done)


class RichScreen(Screen):
    """At most WIDEST columns of the terminal."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._console.width = self.width = min(WIDEST, self._console.width)

    @contextmanager
    def stage(self, doing: str, total: int = 0) -> Iterator[Stage]:
        bar = [BarColumn(24), MofNCompleteColumn()] if total else []
        told = TextColumn("[dim]{task.fields[told]}", table_column=Column(no_wrap=True))
        columns = [SpinnerColumn(), TextColumn("{task.description}"), *bar, told]
        with (
            super().stage(doing, 0) as stage,
            Progress(*columns, console=self._console, transient=True) as progress,
        ):
            moving = MovingStage(progress, progress.add_task(doing, total=total or None, told=""))
            yield moving
            stage.result = moving.result

    def finished(self, result: str, seconds: float) -> None:
        left = Text.assemble(("✓ ", "green"), result)
        grid = Grid.grid(expand=True)
        grid.add_row(left, Text(f"{seconds:.1f} s", style="dim", justify="right"))
        self._console.print(Padding(grid, (0, 2)))

    def queries(self, texts: Iterable[str]) -> None:
        for text in texts:
            sql = Syntax(text, "postgresql", theme="ansi_dark", background_color="default")
            self._console.print(Padding(sql, (0, 4, 1, 4)))

    def table(self, table: Table) -> None:
        heads, *rows, foot = table.cells
        grid = Grid(box=box.SIMPLE_HEAD, show_footer=True, padding=(0, 1, 0, 0), pad_edge=False)
        for head, cell in zip(heads, foot, strict=True):
            grid.add_column(head, cell, justify="right" if head == heads[-1] else "left")
        for *cells, credits in rows:
            color = {"+": "green", "-": "yellow"}.get(credits[0], "dim")
            grid.add_row(*map(Text, cells), Text(credits, color))
        self._console.print(Padding(grid, (0, 0, 0, 1)))

    def paragraph(self, text: str) -> None:
        self._console.print(Padding(Text(text, "dim"), (0, 2, 1, 2)))

    def proof(self, checks: list[Check]) -> None:
        grid = Grid.grid(padding=(0, 2, 0, 0))
        for check in checks:
            color = "green" if check.ok else "bold red"
            claim = Text.assemble(("✓ " if check.ok else "✗ ", color), check.claim)
            grid.add_row(claim, Text(check.found), style=None if check.ok else color)
        self._console.print(Padding(grid, (0, 2)))

    def verdict(self, text: str, ok: bool) -> None:
        told = Text(text, "bold green" if ok else "bold red")
        self._console.print(Padding(told, (1, 2, 0, 2)))
