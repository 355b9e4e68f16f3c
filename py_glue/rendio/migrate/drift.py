"""The catalogue beside the ledger."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rendio import sqlfiles
from rendio.migrate import buckets, catalog, cron, ledger, message, preflight, roles, session
from rendio.migrate.errors import MigrateError
from rendio.migrate.files import Tree, cron_job, read_tree
from rendio.migrate.ledger import OWNER
from rendio.migrate.session import Conn
from rendio.migrate.steps import State, read_state, read_state_here


@dataclass(frozen=True)
class Difference:
    """One aspect of one object; ``path`` is the file that wrote it last, when known."""

    object: str
    aspect: str
    problem: str
    path: str = ""
    now: str = ""

    def __str__(self) -> str:
        where = f" ({self.path})" if self.path else ""
        what = (
            f"{self.object}: {self.aspect} {self.problem}"
            if self.aspect
            else (f"{self.object}: {self.problem}")
        )
        return f"{what}{where}"


def describe(conn: Conn) -> catalog.Facts:
    """Everything that is ours as text, for comparing two databases."""
    with session.snapshot(conn):
        return read_state_here(conn).facts


def drift(url: str, root: Path | None = None) -> list[Difference]:
    """What was changed since it was applied, by anything but an apply."""
    tree = read_tree(root or sqlfiles.root())
    with closing(session.connect(url, f"rendio drift {tree.release}")) as conn, message.explained():
        preflight.check_scheduler(conn)
        state = read_state(conn)
        if not state.rows:
            raise MigrateError("Nothing is applied to this database; run `rendio apply` first.")
        return [
            *_against_ledger(state),
            *_open_partitions(conn),
            *_open_buckets(conn, tree, state),
            *_changed_jobs(tree, state),
            *_dangerous_roles(conn),
        ]


def _against_ledger(state: State) -> Iterator[Difference]:
    expected = ledger.expected(state.rows)
    writers = _writers(state)
    actual = catalog.recorded(state.facts)
    objects: dict[str, dict[str, str]] = {}
    for (thing, aspect), digest in actual.items():
        objects.setdefault(thing, {})[aspect] = digest
    for thing in sorted(expected.keys() | objects.keys()):
        known, found = expected.get(thing, {}), objects.get(thing, {})
        if not found:
            yield Difference(thing, "", "is missing", next(iter(_paths(writers, thing)), ""))
            continue
        if not known:
            yield Difference(thing, "", "was not made by an apply")
            continue
        for aspect in sorted(known.keys() | found.keys()):
            if known.get(aspect) != found.get(aspect):
                problem = (
                    "is missing"
                    if aspect not in found
                    else "was added"
                    if aspect not in known
                    else "was changed"
                )
                now = state.facts.get((thing, aspect), "")
                path = writers.get((thing, aspect), "")
                yield Difference(thing, aspect, problem, path, now)


def _writers(state: State) -> dict[tuple[str, str], str]:
    return {
        (thing, aspect): row.path
        for row in state.rows.values()
        for thing, aspects in row.fingerprint.items()
        for aspect in aspects
    }


def _paths(writers: dict[tuple[str, str], str], thing: str) -> Iterator[str]:
    return (path for (other, _), path in writers.items() if other == thing)


def _open_partitions(conn: Conn) -> Iterator[Difference]:
    """Partitions inherit neither row security nor revokes: each is a door of its own."""
    rows = conn.execute(
        """
        select
            c.oid::regclass::text,
            not c.relrowsecurity,
            (
                select pg_catalog.string_agg(distinct
                    case x.grantee when 0 then 'public' else x.grantee::regrole::text end, ', ')
                from pg_catalog.aclexplode(c.relacl) as x
                where x.grantee <> c.relowner
            )
        from pg_catalog.pg_class as c
        where c.relispartition and c.relkind in ('r', 'p')
            and c.relowner = pg_catalog.to_regrole(%s)
        order by 1
        """,
        [OWNER],
    )
    for name, is_open, grantees in rows:
        if is_open:
            yield Difference(f"partition {name}", "row security", "is disabled")
        if grantees:
            yield Difference(f"partition {name}", "privileges", f"were granted to {grantees}")


def _open_buckets(conn: Conn, tree: Tree, state: State) -> Iterator[Difference]:
    """A bucket is a row, and one word in it opens it to everybody."""
    for file in tree.policies:
        row = state.rows.get(file.path)
        if row is not None and row.state == "applied":
            for bucket in buckets.public(conn, [file]):
                yield Difference(f"storage bucket {bucket}", "", "is public", file.path)


def _changed_jobs(tree: Tree, state: State) -> Iterator[Difference]:
    for file in tree.cron:
        row = state.rows.get(file.path)
        if row is None or row.state != "applied" or row.checksum != file.checksum:
            continue
        job, wanted = state.scheduler.mine(file.stem), cron_job(file)
        thing = cron.identity(file)
        if job is None:
            if not state.scheduler.may_hold(row):
                yield Difference(thing, "", "is missing", file.path)
            continue
        if job.schedule != wanted.schedule:
            yield Difference(thing, "schedule", "was changed", file.path, job.schedule)
        if job.command.strip() != wanted.command:
            yield Difference(thing, "command", "was changed", file.path, job.command)
        if not job.active:
            yield Difference(thing, "", "is not active", file.path)


def _dangerous_roles(conn: Conn) -> Iterator[Difference]:
    """Roles are of no file and of no database, and what is granted to one opens ours."""
    for danger in roles.dangers(conn):
        yield Difference(f"role {danger.role}", "", danger.problem)
