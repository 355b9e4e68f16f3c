"""Run the steps. Each ends in one commit that also writes its ledger row, so a crash at any
moment leaves either all of a step or nothing of it; index builds, which cannot be in a
transaction, announce themselves in the ledger first.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
from psycopg.errors import InsufficientPrivilege

from rendio import sqlfiles
from rendio.migrate import catalog, cron, ledger, message, preflight, session
from rendio.migrate.errors import MigrateError
from rendio.migrate.files import VERSIONED, File, Tree, cron_job, read_tree
from rendio.migrate.ledger import OWNER, Row
from rendio.migrate.session import Conn, one, transaction
from rendio.migrate.sqltext import Name, Statement, Thing
from rendio.migrate.steps import (
    CRON,
    FORGET,
    FUNCTIONS,
    POLICY,
    State,
    Step,
    pending_steps,
    read_state,
    read_state_here,
    repeatable_steps,
)

PARTITIONS = "partitions"
ENSURE_PARTITIONS = "rendio.ensure_partitions()"
# create index concurrently blocks nobody while it waits for old transactions to end; the wait is
# bounded only so that an apply cannot hang for ever behind a forgotten session.
CONCURRENT_LOCK_TIMEOUT = 600.0


@dataclass(frozen=True)
class StepEvent:
    """Told before and after every commit."""

    when: str
    kind: str
    path: str
    action: str = "transaction"


@dataclass(frozen=True)
class StepDone:
    """What became of a step: applied, recorded, skipped or forgotten."""

    kind: str
    path: str
    outcome: str
    seconds: float


@dataclass
class Result:
    """What an apply did."""

    release: str
    steps: list[StepDone] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.steps)


def apply(
    url: str,
    root: Path | None = None,
    *,
    lock_wait: float = 30.0,
    lock_timeout: float = 2.0,
    on_step: Callable[[StepEvent], None] | None = None,
    echo: Callable[[str], None] | None = None,
) -> Result:
    """Bring the database up to date; safe to repeat, and from several machines at once."""
    tree = read_tree(root or sqlfiles.root())
    name = f"rendio apply {tree.release}"
    say = echo or _silent
    with (
        closing(session.connect(url, name)) as work,
        closing(session.connect(url, name)) as holder,
        message.explained(),
    ):
        preflight.check_server(work)
        session.require_direct(work, holder)
        session.settle(work)
        session.settle(holder)
        with session.lock(work, holder, lock_wait, say):
            return _Run(tree, work, holder, lock_timeout, on_step or _silent, say).all()


def _silent(_: object) -> None:
    pass


def preflighted_state(conn: Conn, tree: Tree) -> tuple[State, list[Step]]:
    """Read the database, refuse what must be refused, and return what is to be done."""
    with session.snapshot(conn):
        state = read_state_here(conn)
        steps = pending_steps(tree, state)
        files = [file for step in steps for file in step.files]
        preflight.refuse(preflight.problems(conn, tree, state.rows, files, state.scheduler))
    return state, steps


class _Run:
    """One apply, under the lock."""

    def __init__(
        self,
        tree: Tree,
        work: Conn,
        holder: Conn,
        lock_timeout: float,
        on_step: Callable[[StepEvent], None],
        echo: Callable[[str], None],
    ) -> None:
        self.tree, self.work, self.holder = tree, work, holder
        self.lock_timeout, self.on_step, self.echo = lock_timeout, on_step, echo
        self.result = Result(tree.release)
        self.rows: dict[str, Row] = {}
        self.at: tuple[File, Statement] | None = None

    def all(self) -> Result:
        self.work.add_notice_handler(self._notice)
        state, steps = preflighted_state(self.work, self.tree)
        self.rows = dict(state.rows)
        versioned = [step for step in steps if step.kind == VERSIONED]
        for step in versioned:
            self._step(step)
        if versioned:
            state = read_state(self.work)
            steps = repeatable_steps(self.tree, state, state.existing)
        self.state, self.scheduler = state, state.scheduler
        for step in steps:
            if step.kind != VERSIONED:
                self._step(step)
        if any(step.kind == CRON for step in steps):
            self.result.notices += cron.elsewhere_notice(self.scheduler, self.tree.cron)
        self._ensure_partitions()
        return self.result

    # -- one step ---------------------------------------------------------------------------

    def _step(self, step: Step) -> None:
        begun = time.monotonic()
        run = {
            VERSIONED: self._versioned,
            FUNCTIONS: self._functions,
            POLICY: self._policy,
            CRON: self._cron,
            FORGET: self._forget,
        }[step.kind]
        try:
            outcome = session.retried(lambda: run(step), self._passes(step))
        except psycopg.Error as error:
            raise MigrateError(self._failure(step, error)) from error
        self._done(step, outcome, time.monotonic() - begun)

    def _done(self, step: Step, outcome: str, seconds: float) -> None:
        label = step.path
        if step.kind == FUNCTIONS:
            label = f"functions ({len(step.files)} files)"
        elif step.kind == FORGET:
            label = f"gone: {', '.join(step.paths)}"
        self.result.steps.append(StepDone(step.kind, label, outcome, seconds))
        word = "" if outcome == "applied" else f"  {outcome}"
        self.echo(f"{label:<50} {seconds * 1000:>6.0f} ms{word}")

    def _passes(self, step: Step) -> Callable[[psycopg.Error], bool]:
        """Roles may be created by another database's apply between our check and our create."""
        foundation = step.files[:1] == tuple(self.tree.versioned[:1])
        return lambda error: session.passes(error) or (foundation and error.sqlstate == "42710")

    def _failure(self, step: Step, error: psycopg.Error) -> str:
        text = message.describe(self.at, step.path, error)
        if error.sqlstate == "55P03":
            text += message.blockers(self.holder, self.work, step.locks)
        return f"{text}\n{self._kept(step)} Then run `rendio apply` again."

    def _kept(self, step: Step) -> str:
        """What is left of a step that failed, and of those before it."""
        before = len(self.result.steps)
        earlier = f"; the {before} before it in this run stay applied" if before else ""
        if self.work.closed:
            return f"The connection was lost: this step was applied whole or not at all{earlier}."
        if step.files and step.files[0].no_transaction:
            return f"An invalid index may be left, which the next apply builds anew{earlier}."
        return f"Nothing of this step was kept{earlier}."

    @contextmanager
    def _commit(self, step: Step, role: str | None, action: str = "transaction") -> Iterator[None]:
        """A transaction with its events; the lock is checked before it begins."""
        session.still_locked(self.holder)
        self.on_step(StepEvent("before", step.kind, step.path, action))
        self.at = None
        with transaction(self.work, role=role):
            self._set_local("lock_timeout", self.lock_timeout)
            yield
        self.on_step(StepEvent("after", step.kind, step.path, action))

    def _set_local(self, setting: str, seconds: float) -> None:
        self.work.execute(
            "select pg_catalog.set_config(%s, %s, true)", [setting, f"{int(seconds * 1000)}ms"]
        )

    def _execute(self, file: File) -> None:
        for statement in file.statements:
            self.at = file, statement
            self.work.execute(statement.text)
        self.at = None

    # -- what a step did --------------------------------------------------------------------

    def _made(self) -> set[str]:
        return {identity for row in self.rows.values() for identity in row.defines}

    def _describe(self, also: set[str] | None = None) -> dict[tuple[str, str], str]:
        if not self.rows and not also:
            return {}
        facts = catalog.describe_objects(self.work, self._made() | (also or set()))
        return catalog.recorded(facts)

    def _found(self, file: File) -> set[str]:
        return {found.identity for found in catalog.find(self.work, file.creates)}

    def _defines(self, file: File, before: set[str]) -> set[str]:
        """What exists because of this file; objects that were there before are not its own."""
        row = self.rows.get(file.path)
        own = set(row.defines) if row else set()
        return {
            identity
            for identity in self._found(file)
            if identity not in before or identity in own or identity.startswith("policy ")
        }

    def _write(self, file: File, state: str, defines: set[str], changes: ledger.Changes) -> None:
        fingerprints = ledger.attribute(self.rows, file.path, changes)
        own = fingerprints.pop(file.path)
        self.work.execute(f"set local role {OWNER}")
        self._rewrite(fingerprints)
        row = Row(file.path, file.checksum, state, sorted(defines), own, self.tree.release)
        ledger.write(self.work, row)
        self.rows[file.path] = row

    def _rewrite(self, fingerprints: dict[str, ledger.Fingerprint]) -> None:
        for path, fingerprint in fingerprints.items():
            ledger.rewrite(self.work, path, fingerprint)
            self.rows[path] = replace(self.rows[path], fingerprint=fingerprint)

    # -- versioned files --------------------------------------------------------------------

    def _versioned(self, step: Step) -> str:
        file = step.files[0]
        if file.no_transaction:
            return self._index(step, file)
        return self._skippable(step, file, lambda: self._run_file(step, file, []))

    def _run_file(self, step: Step, file: File, prelude: list[str]) -> str:
        with self._commit(step, None if file.as_caller else OWNER):
            facts, found = self._describe(), self._found(file)
            for statement in prelude:
                self.work.execute(statement)
            self._execute(file)
            defines = self._defines(file, found)
            changed = catalog.changed(facts, self._describe(defines))
            self._write(file, "applied", defines, changed)
        return "applied"

    def _skippable(self, step: Step, file: File, run: Callable[[], str]) -> str:
        """A file run as the caller may lack a right: then it is noted, and tried again next time.

        Without the foundation there is nothing, not even a ledger to note it in.
        """
        try:
            return run()
        except InsufficientPrivilege as error:
            if not file.as_caller or file is self.tree.versioned[0]:
                raise
            reason = error.diag.message_primary
        old = self.rows.get(file.path)
        with self._commit(step, OWNER, "skipped"):
            self._write(file, "skipped", set(old.defines) if old else set(), {})
        self.result.notices.append(message.skipped(file, reason))
        return f"skipped: {reason}"

    def _index(self, step: Step, file: File) -> str:
        """create index concurrently: noted first; what an interrupted build left is dropped."""
        identity = str(file.creates[0])
        old = self.rows.get(file.path)
        suspects = {identity, *(old.defines if old else [])}
        with self._commit(step, OWNER, "running"):
            self._write(file, "running", suspects, {})
        rewritten = old is not None and old.checksum != file.checksum
        for leftover in _unfinished_indexes(self.work, suspects, whole=rewritten):
            self._outside(step, "drop invalid index", f"drop index concurrently {leftover}")
        if not self._found(file):
            self._outside(step, "create index", file.statements[0].text, file)
        with self._commit(step, OWNER, "applied"):
            aspect = identity
            facts: ledger.Changes = {}
            for (thing, key), digest in self._describe().items():
                if key == aspect:
                    facts[thing] = {key: digest}
            self._write(file, "applied", {identity}, facts)
        return "applied"

    def _outside(self, step: Step, action: str, sql: str, file: File | None = None) -> None:
        """Run one statement outside of a transaction, as the owner."""
        session.still_locked(self.holder)
        self.on_step(StepEvent("before", step.kind, step.path, action))
        self.at = (file, file.statements[0]) if file else None
        self.work.execute(f"set role {OWNER}")
        self.work.execute(f"set lock_timeout = '{int(CONCURRENT_LOCK_TIMEOUT)}s'")
        try:
            self.work.execute(sql)
        finally:
            with suppress(psycopg.Error):
                self.work.execute("reset role")
                self.work.execute("reset lock_timeout")
        self.on_step(StepEvent("after", step.kind, step.path, action))

    # -- repeatable files -------------------------------------------------------------------

    def _functions(self, step: Step) -> str:
        """All changed functions at once: callers see the old set or the new one."""
        with self._commit(step, OWNER):
            self.work.execute("set local check_function_bodies = off")
            facts = self._describe()
            defined = {file.path: self._define(file) for file in step.files}
            self.work.execute("set local check_function_bodies = on")
            for file in step.files:
                self._validate(file, defined[file.path])
            changed = catalog.changed(facts, self._describe(set(defined.values())))
            for file in step.files:
                identity = defined[file.path]
                own = {identity: changed[identity]} if identity in changed else {}
                self._write(file, "applied", {identity}, own)
            self._refuse_leftovers()
        return "applied"

    def _define(self, file: File) -> str:
        """Run a function file and see that it wrote what its path says, and nothing else."""
        before = _written_here(self.work)
        self._execute(file)
        after = _written_here(self.work)
        written = {thing for thing, place in after.items() if before.get(thing) != place}
        found = self._found(file)
        own = {i for i in found if i in written} or (found if file.target.kind == "view" else set())
        if len(own) != 1 or written - own:
            others = ", ".join(sorted(written - own)) or "nothing"
            raise MigrateError(
                f"{file.path}: must write {file.target} and nothing else, and wrote {others}."
            )
        return own.pop()

    def _validate(self, file: File, identity: str) -> None:
        """Let the server check a body now that all its functions exist."""
        kind, _, signature = identity.partition(" ")
        if kind == "view":
            return
        language, validator, oid = self.work.execute(
            """
            select l.lanname, l.lanvalidator::regproc::text, p.oid::bigint
            from pg_catalog.pg_proc as p
            inner join pg_catalog.pg_language as l on l.oid = p.prolang
            where p.oid = pg_catalog.to_regprocedure(%s)
            """,
            [signature],
        ).fetchone() or ("", "", 0)
        if language in ("sql", "plpgsql"):
            self.at = file, next(s for s in file.statements if s.creates)
            name = validator.removeprefix("pg_catalog.")
            self.work.execute(f"select pg_catalog.{name}({oid}::oid)")
            self.at = None

    def _refuse_leftovers(self) -> None:
        known = {file.path for file in self.tree.files}
        written = {i for row in self.rows.values() if row.path in known for i in row.defines}
        found = preflight.leftovers(self.work, written)
        lines = [leftover.message for leftover in found if leftover.thing.kind != "policy"]
        if lines:
            raise MigrateError("\n".join(lines) + "\nNo function was changed.")

    def _policy(self, step: Step) -> str:
        file = step.files[0]
        if not self.state.has_place_for(file):
            return self._record(step, file)
        lines = [lock_line(table) for table in _our_tables(self.work, file.tables)]
        return self._skippable(step, file, lambda: self._run_file(step, file, lines))

    def _record(self, step: Step, file: File) -> str:
        """There is no place for the file; what it made, if it did, went with the table."""
        row = self.rows.get(file.path)
        made = row.fingerprint if row else {}
        gone: ledger.Changes = {thing: dict.fromkeys(aspects) for thing, aspects in made.items()}
        with self._commit(step, OWNER, "recorded"):
            self._write(file, "recorded", set(), gone)
        return f"recorded: {message.no_place_for(file)}"

    def _cron(self, step: Step) -> str:
        file = step.files[0]
        if self.scheduler.mode == "installable":
            self._install_pg_cron(step)
        row = self.rows.get(file.path)
        if self.scheduler.mode != "here":
            state, note = "recorded", f"recorded: {self.scheduler.note}"
        elif row and row.state == "applied" and self.scheduler.may_hold(row):
            raise MigrateError(
                f"{file.path} changed, and the job was scheduled by {row.applied_by}, whose jobs"
                f" {self.scheduler.login} may not see. Run apply as {row.applied_by}, or there:"
                f" select cron.unschedule('{file.stem}');"
            )
        else:
            state, note = "applied", "applied"
        with self._commit(step, None):
            if state == "applied":
                self._schedule(file)
            self._write(file, state, {cron.identity(file)}, {})
        return note

    def _schedule(self, file: File) -> None:
        """Update a job in place, also another login's when we may; else schedule it."""
        job = self.scheduler.mine(file.stem)
        if job is None or job.username == self.scheduler.login:
            self._execute(file)
            return
        wanted = cron_job(file)
        self.work.execute(
            "select cron.alter_job(j.jobid, schedule := %s, command := %s) from cron.job as j"
            " where j.jobname = %s and j.username = %s",
            [wanted.schedule, wanted.command, file.stem, job.username],
        )

    def _install_pg_cron(self, step: Step) -> None:
        try:
            with self._commit(step, None, "create extension"):
                self.work.execute("create extension if not exists pg_cron schema pg_catalog")
        except InsufficientPrivilege:
            self.result.notices.append(f"Cron jobs are only recorded; {self.scheduler.note}")
            note = self.scheduler.note
            self.scheduler = cron.Scheduler("none", note, self.scheduler.login)
            return
        with session.snapshot(self.work):
            self.scheduler = cron.inspect(self.work)

    def _forget(self, step: Step) -> str:
        """Files that are gone: their functions and policies were dropped; jobs are dropped here."""
        with self._commit(step, None):
            for path in step.paths:
                name = path.removeprefix("cron/").removesuffix(".sql")
                if path.startswith("cron/") and self.scheduler.mine(name):
                    self.work.execute("select cron.unschedule(%s)", [name])
            self.work.execute(f"set local role {OWNER}")
            self._rewrite(ledger.bequeath(self.rows, step.paths))
            for path in step.paths:
                ledger.forget(self.work, path)
                self.rows.pop(path, None)
        return "applied"

    def _ensure_partitions(self) -> None:
        """The months ahead exist right after every apply; costs nothing when they do."""
        if not catalog.find(self.work, [Thing("function", Name("rendio", "ensure_partitions"))]):
            return
        step = Step(PARTITIONS, (), {}, paths=(PARTITIONS,))
        begun = time.monotonic()

        def run() -> int:
            with self._commit(step, OWNER):
                return int(one(self.work, f"select {ENSURE_PARTITIONS}") or 0)

        try:
            made = session.retried(run, session.passes)
        except psycopg.Error as error:
            raise MigrateError(self._failure(step, error)) from error
        if made:
            self._done(step, f"{made} made", time.monotonic() - begun)

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        """Keep what files say on purpose; "… does not exist, skipping" is noise."""
        if diagnostic.severity_nonlocalized == "WARNING" or diagnostic.context:
            self.result.notices.append(str(diagnostic.message_primary))


def lock_line(table: Name) -> str:
    """Take ACCESS EXCLUSIVE on a table of ours and change nothing: row security is on already.

    LOCK TABLE would need the right to update, delete or truncate, which the owner of the credit
    ledger does not hold.
    """
    return f"alter table only {table} enable row level security"


def _our_tables(conn: Conn, names: list[Name]) -> list[Name]:
    """Those of the tables that belong to our owner; the others are locked by their statements."""
    ours = {
        name
        for (name,) in conn.execute(
            "select c.oid::regclass::text from pg_catalog.pg_class as c"
            " where c.relkind in ('r', 'p') and c.relowner = pg_catalog.to_regrole(%s)"
            " and c.relrowsecurity",
            [OWNER],
        )
    }
    return [name for name in names if str(name) in ours]


def _unfinished_indexes(conn: Conn, identities: set[str], *, whole: bool) -> list[str]:
    """Of these indexes, what an interrupted build left behind.

    When the file was rewritten since, a whole index of the old text is in the way too.
    """
    rows = conn.execute(
        """
        select i.indexrelid::regclass::text
        from pg_catalog.pg_index as i
        where
            (%s or not i.indisvalid)
            and 'index ' || i.indexrelid::regclass::text = any(%s)
        order by 1
        """,
        [whole, sorted(identities)],
    )
    return [name for (name,) in rows]


def _written_here(conn: Conn) -> dict[str, str]:
    """Functions and relations written by this transaction, with the place of their newest row."""
    rows = conn.execute(
        """
        select
            case p.prokind when 'p' then 'procedure ' else 'function ' end
            || p.oid::regprocedure::text,
            p.ctid::text
        from pg_catalog.pg_proc as p
        where p.xmin = pg_catalog.pg_current_xact_id()::xid
        union all
        select
            case c.relkind when 'v' then 'view ' else 'table ' end || c.oid::regclass::text,
            c.ctid::text
        from pg_catalog.pg_class as c
        where
            c.xmin = pg_catalog.pg_current_xact_id()::xid
            and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c')
        """
    )
    return dict(rows.fetchall())
