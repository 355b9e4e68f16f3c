"""What an apply would do: the files that differ from the ledger, in the order they are run."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from rendio.migrate import catalog, cron, ledger
from rendio.migrate.cron import Scheduler
from rendio.migrate.errors import MigrateError, NotOurs
from rendio.migrate.files import VERSIONED, File, Tree
from rendio.migrate.ledger import OWNER, Row
from rendio.migrate.session import Conn, may_use_owner, one, snapshot
from rendio.migrate.sqltext import Lock, Thing

FUNCTIONS, POLICY, CRON, FORGET = "functions", "policy", "cron", "forget"


@dataclass(frozen=True)
class State:
    """One read of the database; ``existing`` are the identities of what is ours and there."""

    rows: dict[str, Row]
    facts: catalog.Facts
    scheduler: Scheduler
    relations: frozenset[str]

    @property
    def existing(self) -> set[str]:
        return {identity for identity, _ in self.facts}

    def has_place_for(self, file: File) -> bool:
        """Whether the table that the file is about exists."""
        return file.where is None or file.where in self.relations


@dataclass(frozen=True)
class Step:
    """One or more files that are applied together; ``why`` is told per path."""

    kind: str
    files: tuple[File, ...]
    why: dict[str, str]
    locks: list[Lock] = field(default_factory=list)
    paths: tuple[str, ...] = ()  # of forgotten rows, which have no file

    @property
    def path(self) -> str:
        return self.files[0].path if self.files and self.kind != FUNCTIONS else self.kind


def read_state(conn: Conn) -> State:
    """Read ledger, catalogue and scheduler in one snapshot."""
    with snapshot(conn):
        return read_state_here(conn)


def read_state_here(conn: Conn) -> State:
    """The same inside a transaction that is open already."""
    scheduler = cron.inspect(conn)
    rows = _read_ledger(conn)
    defined = {identity for row in rows.values() for identity in row.defines}
    facts = catalog.describe_objects(conn, defined) if rows else {}
    relations = frozenset(
        name
        for (name,) in conn.execute(
            "select c.oid::regclass::text from pg_catalog.pg_class as c"
            " where c.relkind in ('r', 'p', 'v', 'm', 'f', 'i', 'I')"
            " and c.relnamespace <> 'pg_catalog'::regnamespace"
        )
    )
    return State(rows, facts, scheduler, relations)


def _read_ledger(conn: Conn) -> dict[str, Row]:
    owner = ledger.owner(conn)
    if owner is None:
        return {}
    if owner != OWNER:
        raise NotOurs(
            f"Nothing was changed: table {ledger.TABLE} exists, owner {owner}, and was not made by"
            f" rendio. Rename its schema (alter schema rendio rename to …;) or apply to another"
            " database."
        )
    if not may_use_owner(conn):
        login = one(conn, "select current_user::regrole::text")
        raise MigrateError(
            f"{login} is no member of {OWNER}, the owner of the schema. As an administrator:"
            f" grant {OWNER} to {login};"
        )
    conn.execute(f"set local role {OWNER}")
    rows = ledger.read(conn)
    conn.execute("reset role")
    return rows


def pending_steps(tree: Tree, state: State) -> list[Step]:
    """All steps, in order; an empty list when the database is up to date."""
    versioned = [_versioned(file, state.rows.get(file.path)) for file in tree.versioned]
    steps = [step for step in versioned if step is not None]
    gone = state.existing - _dropped(steps, state.existing)
    return [*steps, *repeatable_steps(tree, state, gone)]


def _versioned(file: File, row: Row | None) -> Step | None:
    if row is None:
        why = "new"
    elif row.state == "running":
        why = "interrupted"
    elif row.state == "skipped":
        why = "skipped before"
    else:
        return None
    return Step(VERSIONED, (file,), {file.path: why}, _locks([file]))


def repeatable_steps(tree: Tree, state: State, existing: set[str]) -> list[Step]:
    """Functions together, each policy file and cron job alone, then rows of files that are gone."""
    steps = []
    functions = dict(_changed(tree.functions, state, existing))
    if functions:
        files = tuple(file for file in tree.functions if file.path in functions)
        steps.append(Step(FUNCTIONS, files, functions, _locks(files)))
    policies = dict(_changed(tree.policies, state, existing))
    for file in tree.policies:
        if file.path in policies:
            steps.append(Step(POLICY, (file,), {file.path: policies[file.path]}, _locks([file])))
    for file in tree.cron:
        if why := cron.why_pending(state.scheduler, file, state.rows.get(file.path)):
            steps.append(Step(CRON, (file,), {file.path: why}))
    known = {file.path for file in tree.files}
    gone = tuple(p for p in state.rows if p not in known and not p.startswith("sql/"))
    if gone:
        steps.append(Step(FORGET, (), dict.fromkeys(gone, "the file is gone"), paths=gone))
    return steps


def _changed(files: list[File], state: State, existing: set[str]) -> Iterator[tuple[str, str]]:
    for file in files:
        row = state.rows.get(file.path)
        if row is None:
            yield file.path, "new"
        elif row.checksum != file.checksum:
            yield file.path, "changed"
        elif row.state == "skipped":
            yield file.path, "skipped before"
        elif state.has_place_for(file) != (row.state == "applied"):
            yield file.path, f"{file.where} is {'gone' if row.state == 'applied' else 'there now'}"
        elif missing := sorted(set(row.defines) - existing):
            yield file.path, f"missing: {', '.join(missing)}"


def _dropped(steps: list[Step], existing: set[str]) -> set[str]:
    """What the versioned files of these steps drop, so that its repeatable runs again."""
    things = [thing for step in steps for file in step.files for thing in file.drops]
    return {identity for identity in existing if any(_is_dropped(identity, t) for t in things)}


def _is_dropped(identity: str, thing: Thing) -> bool:
    """Functions by name, whatever their arguments; policies also with their table."""
    if thing.kind in ("function", "procedure", "routine"):
        return identity.split("(", 1)[0].split(" ", 1)[-1] == str(thing.name)
    if thing.kind == "table" and identity.startswith("policy "):
        return identity.endswith(f" on {thing.name}")
    return identity == str(thing)


def _locks(files: list[File] | tuple[File, ...]) -> list[Lock]:
    locks = [lock for file in files for s in file.statements for lock in s.locks]
    return list(dict.fromkeys(locks))


def existing_locks(step: Step, state: State) -> list[Lock]:
    """The locks a step takes on what is there already: the only ones traffic can feel."""
    strongest: dict[str, Lock] = {}
    for lock in step.locks:
        name = str(lock.table)
        if name not in state.relations:
            continue
        if name not in strongest or _STRENGTH[lock.mode] > _STRENGTH[strongest[name].mode]:
            strongest[name] = lock
    return list(strongest.values())


_STRENGTH = {
    mode: strength
    for strength, mode in enumerate(
        (
            "row exclusive",
            "share update exclusive",
            "share",
            "share row exclusive",
            "access exclusive",
        )
    )
}
