"""The files beside the ledger: what is applied, what is not, and which jobs anything runs."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rendio import sqlfiles
from rendio.migrate import cron, message, preflight, session
from rendio.migrate.files import File, Tree, cron_job, read_tree
from rendio.migrate.ledger import Row
from rendio.migrate.preflight import Problem
from rendio.migrate.steps import State, pending_steps, read_state

# A row in one of these states is not what the ledger should end in.
_UNFINISHED = {"running": "interrupted", "skipped": "skipped"}


@dataclass(frozen=True)
class Entry:
    """One file: applied, recorded, pending, edited, gone, late, interrupted or skipped."""

    path: str
    state: str
    note: str = ""


@dataclass(frozen=True)
class Job:
    """One cron job, and whether anything runs it."""

    name: str
    schedule: str
    runs: str


@dataclass(frozen=True)
class Status:
    """The whole answer; ``problems`` are what apply would refuse because of the history."""

    release: str
    entries: list[Entry]
    jobs: list[Job]
    notices: list[str]
    problems: list[Problem]

    @property
    def pending(self) -> bool:
        return any(entry.state not in ("applied", "recorded") for entry in self.entries)

    def lines(self) -> list[str]:
        width = max((len(entry.path) for entry in self.entries), default=0)
        lines = [
            f"{entry.path:<{width}}  {entry.state}" + (f": {entry.note}" if entry.note else "")
            for entry in self.entries
        ]
        if self.jobs:
            width = max(len(job.name) for job in self.jobs)
            lines += ["", "cron jobs"]
            lines += [f"  {job.name:<{width}}  {job.schedule:<12}  {job.runs}" for job in self.jobs]
        return lines

    def as_json(self) -> dict[str, Any]:
        return {
            "release": self.release,
            "pending": self.pending,
            "files": [vars(entry) for entry in self.entries],
            "jobs": [vars(job) for job in self.jobs],
            "notices": self.notices,
            "problems": [problem.message for problem in self.problems],
        }


def status(url: str, root: Path | None = None) -> Status:
    """Compare the files with the ledger; reads only, also on a standby or through a pooler."""
    tree = read_tree(root or sqlfiles.root())
    with (
        closing(session.connect(url, f"rendio status {tree.release}")) as conn,
        message.explained(),
    ):
        preflight.check_scheduler(conn)
        state = read_state(conn)
    problems = list(preflight.history(tree, state.rows))
    jobs = [
        Job(file.stem, cron_job(file).schedule, cron.who_runs(state.scheduler, file, row))
        for file in tree.cron
        for row in [state.rows.get(file.path)]
    ]
    notices = cron.elsewhere_notice(state.scheduler, tree.cron)
    return Status(tree.release, _entries(tree, state), jobs, notices, problems)


def _entries(tree: Tree, state: State) -> list[Entry]:
    why = {path: text for step in pending_steps(tree, state) for path, text in step.why.items()}
    entries = []
    last = max(
        (path for path, row in state.rows.items() if row.path.startswith("sql/")), default=""
    )
    for file in tree.files:
        row = state.rows.get(file.path)
        if file in tree.versioned and row is None and file.path < last:
            entries.append(Entry(file.path, "late", f"comes before {last}, which was applied"))
        elif file in tree.versioned and row and row.state == "applied":
            edited = row.checksum != file.checksum
            entries.append(Entry(file.path, "edited" if edited else "applied"))
        else:
            entries.append(_entry(file, row, why.get(file.path)))
    known = {file.path for file in tree.files}
    entries += [
        Entry(p, "gone", "applied, and the file is gone") for p in state.rows if p not in known
    ]
    return entries


def _entry(file: File, row: Row | None, why: str | None) -> Entry:
    if row is not None and row.state in _UNFINISHED:
        return Entry(file.path, _UNFINISHED[row.state], "the next apply tries again")
    if why is not None:
        return Entry(file.path, "pending", why)
    if row is not None and row.state == "recorded" and file.where:
        return Entry(file.path, "recorded", message.no_place_for(file))
    return Entry(file.path, row.state if row else "pending")
