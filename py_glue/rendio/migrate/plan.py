"""What an apply would do, read-only."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rendio import sqlfiles
from rendio.migrate import cron, message, preflight, session
from rendio.migrate.apply import preflighted_state
from rendio.migrate.files import Tree, read_tree
from rendio.migrate.ledger import OWNER
from rendio.migrate.preflight import API_ROLES
from rendio.migrate.script import locks_text, script
from rendio.migrate.session import Conn
from rendio.migrate.steps import CRON, FUNCTIONS, POLICY, State, Step, existing_locks


@dataclass(frozen=True)
class Plan:
    """The steps an apply would take, with the locks that traffic can feel."""

    tree: Tree
    state: State
    steps: list[Step]
    notices: list[str]

    def sql(self, lock_timeout: float = 2.0) -> str:
        """The plan as a script for psql, with the same result."""
        return script(self.tree, self.state, self.steps, lock_timeout)

    def lines(self) -> list[str]:
        """The plan for a person."""
        if not self.steps:
            return ["Nothing to do."]
        lines: list[str] = []
        for step in self.steps:
            if step.kind == FUNCTIONS:
                lines.append(f"functions ({len(step.files)} files, one transaction)")
            indent = "  " if step.kind == FUNCTIONS else ""
            lines += [f"{indent}{path}: {why}" for path, why in step.why.items()]
            locks = existing_locks(step, self.state)
            if locks:
                lines.append(f"    locks: {locks_text(locks)}")
            elif step.kind == CRON and self.state.scheduler.mode not in ("here", "installable"):
                lines.append(f"    only recorded: {self.state.scheduler.note}")
            elif step.kind == POLICY and not self.state.has_place_for(step.files[0]):
                lines.append(f"    only recorded: {message.no_place_for(step.files[0])}")
        if not any(existing_locks(step, self.state) for step in self.steps):
            lines.append("No step locks an existing table.")
        return lines

    def as_json(self) -> dict[str, Any]:
        return {
            "release": self.tree.release,
            "database": self.state.scheduler.database,
            "steps": [
                {
                    "kind": step.kind,
                    "files": [{"path": path, "why": why} for path, why in step.why.items()],
                    "locks": [
                        {"mode": lock.mode, "table": str(lock.table)}
                        for lock in existing_locks(step, self.state)
                    ],
                }
                for step in self.steps
            ],
            "notices": self.notices,
        }


def plan(url: str, root: Path | None = None) -> Plan:
    """Read the files and the database; refuses whatever apply would refuse."""
    tree = read_tree(root or sqlfiles.root())
    name = f"rendio plan {tree.release}"
    with (
        closing(session.connect(url, name)) as work,
        closing(session.connect(url, name)) as other,
        message.explained(),
    ):
        preflight.check_server(work)
        session.require_direct(work, other)
        state, steps = preflighted_state(work, tree)
        return Plan(tree, state, steps, _notices(work, tree, state))


def _notices(conn: Conn, tree: Tree, state: State) -> list[str]:
    notices = []
    if not state.rows:
        wanted = [OWNER, *API_ROLES]
        existing = {
            name
            for (name,) in conn.execute(
                "select r.rolname::text from pg_catalog.pg_roles as r where r.rolname = any(%s)",
                [wanted],
            )
        }
        kept = [role for role in wanted if role in existing]
        made = [role for role in wanted if role not in existing]
        text = "Roles are cluster-wide, seen by every database of this server."
        text += f" Created: {', '.join(made)}." if made else ""
        text += f" Existing, left as they are: {', '.join(kept)}." if kept else ""
        notices.append(text)
    return notices + cron.elsewhere_notice(state.scheduler, tree.cron)
