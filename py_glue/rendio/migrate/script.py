"""The plan as one script for psql, with the same result as an apply."""

from collections.abc import Iterable, Iterator
from importlib import resources

from rendio.migrate import catalog, cron, ledger, message
from rendio.migrate.apply import CONCURRENT_LOCK_TIMEOUT, ENSURE_PARTITIONS, lock_line
from rendio.migrate.cron import literal
from rendio.migrate.files import VERSIONED, File, Tree
from rendio.migrate.ledger import OWNER
from rendio.migrate.session import LOCK, SETTINGS
from rendio.migrate.sqltext import Lock, Thing, tokens
from rendio.migrate.steps import CRON, FORGET, FUNCTIONS, POLICY, State, Step, existing_locks

_HELPERS = resources.files("rendio.migrate").joinpath("script.sql").read_text("utf-8")


def script(tree: Tree, state: State, steps: list[Step], lock_timeout: float = 2.0) -> str:
    """Return the whole script; only its header when there is nothing to do."""
    return "\n".join(_lines(tree, state, steps, lock_timeout)) + "\n"


def _lines(tree: Tree, state: State, steps: list[Step], lock_timeout: float) -> Iterator[str]:
    yield f"-- rendio {tree.release}: what `rendio apply` would do to database"
    yield f"-- {state.scheduler.database}, as {state.scheduler.login}."
    yield "-- Run it with: psql -X -v ON_ERROR_STOP=1 -f <this file> <URL>"
    if not steps:
        yield "-- Nothing to do."
        return
    yield "\\set ON_ERROR_STOP on"
    yield "\\set QUIET on"
    for setting, value in {**SETTINGS, "client_min_messages": "warning"}.items():
        yield f"set {setting} = {literal(value)};"
    yield f"set lock_timeout = '{int(lock_timeout * 1000)}ms';"
    yield "-- The lock of `rendio apply`; kept until psql ends."
    yield f"do $$begin perform pg_catalog.pg_advisory_lock({LOCK[0]}, {LOCK[1]}); end;$$;"
    yield ""
    yield _helpers(tree)
    for step in steps:
        yield ""
        yield from _step(tree, state, step, lock_timeout)
    if "rendio.ensure_partitions" in {str(file.target.name) for file in tree.functions}:
        yield ""
        yield "-- The months ahead."
        yield from _transaction(OWNER, [f"do $$begin perform {ENSURE_PARTITIONS}; end;$$;"])


def _helpers(tree: Tree) -> str:
    find = catalog.FIND.format(**{column: f"p_{column}" for column in catalog.COLUMNS})
    write = ledger.WRITE.format(
        path="p_path",
        checksum="p_checksum",
        state="p_state",
        defines="(select coalesce(array_agg(d order by d collate \"C\"), '{}') from"
        " unnest(p_defines) as d)",
        fingerprint="p_facts::text",
        release=literal(tree.release),
        finished_at="case p_state when 'running' then null else clock_timestamp() end",
    )
    describe = catalog.DESCRIBE.format(identities="p_identities")
    return _HELPERS.format(find=find, describe=describe, write=write)


def _step(tree: Tree, state: State, step: Step, lock_timeout: float) -> Iterator[str]:
    for path, why in step.why.items():
        yield f"-- {path}: {why}"
    if step.kind in (VERSIONED, FUNCTIONS, POLICY):
        yield f"-- Locks: {locks_text(existing_locks(step, state))}."
    if step.kind == FUNCTIONS:
        yield from _functions(step)
    elif step.kind == CRON:
        yield from _cron(state, step.files[0])
    elif step.kind == FORGET:
        yield from _forget(state, step)
    elif not state.has_place_for(step.files[0]):
        yield from _record(step.files[0])
    elif step.files[0].no_transaction:
        yield from _index(state, step.files[0], lock_timeout)
    else:
        yield from _file(tree, step.files[0])


def locks_text(locks: Iterable[Lock]) -> str:
    """For a person: the locks that traffic can feel."""
    listed = ", ".join(f"{lock.mode} on {lock.table}" for lock in locks)
    return listed or "none on existing tables"


def _transaction(role: str | None, lines: Iterable[str]) -> Iterator[str]:
    yield "begin;"
    if role:
        yield f"set local role {role};"
    yield from lines
    yield "commit;"


def _file(tree: Tree, file: File) -> Iterator[str]:
    return (
        _transaction(OWNER, _file_lines(tree, file))
        if file is not tree.versioned[0]
        else (_transaction(None, _file_lines(tree, file)))
    )


def _file_lines(tree: Tree, file: File) -> Iterator[str]:
    yield f"select pg_temp.rendio_begin({_arrays(file.creates)}) \\g /dev/null"
    if file.as_caller and file is not tree.versioned[0]:
        yield "reset role;"
    if file.kind != VERSIONED and not file.where:
        for table in file.tables:
            yield f"{lock_line(table)};"
    yield text_of(file)
    if file.as_caller:
        yield f"set local role {OWNER};"
    yield f"select pg_temp.rendio_look({_arrays(file.creates)}) \\g /dev/null"
    yield _end(file)


def _end(file: File) -> str:
    is_function = str(file.path.startswith("functions/")).lower()
    return (
        f"select pg_temp.rendio_end({literal(file.path)}, {literal(file.checksum)}, {is_function},"
        f" {_arrays(file.creates)}) \\g /dev/null"
    )


def _functions(step: Step) -> Iterator[str]:
    def lines() -> Iterator[str]:
        things = [thing for file in step.files for thing in file.creates]
        yield f"select pg_temp.rendio_begin({_arrays(things)}) \\g /dev/null"
        yield "set local check_function_bodies = off;"
        for file in step.files:
            yield text_of(file)
        yield f"select pg_temp.rendio_look({_arrays(things)}) \\g /dev/null"
        for file in step.files:
            yield _end(file)

    return _transaction(OWNER, lines())


def _index(state: State, file: File, lock_timeout: float) -> Iterator[str]:
    identity = str(file.creates[0])
    row = state.rows.get(file.path)
    if row is not None:
        for index in row.defines:
            yield f"set role {OWNER};"
            yield f"drop index concurrently if exists {index.removeprefix('index ')};"
            yield "reset role;"
    yield from _transaction(OWNER, [_note(file, "running", identity, "'{}'")])
    yield f"set role {OWNER};"
    yield f"set lock_timeout = '{int(CONCURRENT_LOCK_TIMEOUT)}s';"
    yield text_of(file)
    yield "reset role;"
    yield f"set lock_timeout = '{int(lock_timeout * 1000)}ms';"
    facts = f"pg_temp.rendio_aspect({literal(identity)})"
    yield from _transaction(OWNER, [_note(file, "applied", identity, facts)])


def _cron(state: State, file: File) -> Iterator[str]:
    mode = state.scheduler.mode
    usable = mode in ("here", "installable")
    if not usable:
        yield f"-- Only recorded: {state.scheduler.note}."

    def lines() -> Iterator[str]:
        if mode == "installable":
            yield "create extension if not exists pg_cron;"
        if usable:
            yield text_of(file)
        yield f"set local role {OWNER};"
        yield _note(file, "applied" if usable else "recorded", cron.identity(file), "'{}'")

    yield from _transaction(None, lines())


def _forget(state: State, step: Step) -> Iterator[str]:
    def lines() -> Iterator[str]:
        for path in step.paths:
            name = path.removeprefix("cron/").removesuffix(".sql")
            if path.startswith("cron/") and state.scheduler.mine(name):
                yield f"select cron.unschedule({literal(name)});"
        yield f"set local role {OWNER};"
        paths = ", ".join(map(literal, step.paths))
        yield f"select pg_temp.rendio_forget(array[{paths}]) \\g /dev/null"

    return _transaction(None, lines())


def _record(file: File) -> Iterator[str]:
    write = (
        f"select pg_temp.rendio_write({literal(file.path)}, {literal(file.checksum)}, 'recorded',"
        " '{}', '{}') \\g /dev/null"
    )
    yield f"-- Only recorded: {message.no_place_for(file)}."
    yield from _transaction(OWNER, [write])


def _note(file: File, state: str, identity: str, facts: str) -> str:
    return (
        f"select pg_temp.rendio_write({literal(file.path)}, {literal(file.checksum)},"
        f" {literal(state)}, array[{literal(identity)}], {facts}) \\g /dev/null"
    )


def _arrays(things: list[Thing]) -> str:
    """The five arrays of rendio_find as literals."""
    return ", ".join(_array(column) for column in catalog.columns(list(dict.fromkeys(things))))


def _array(values: list[str | None]) -> str:
    items = ", ".join("null" if value is None else literal(value) for value in values)
    return f"array[{items}]::text[]"


def text_of(file: File) -> str:
    """The file as it is, ended by a semicolon."""
    last = [token for token in tokens(file.text) if token.kind != "comment"][-1]
    return file.text.rstrip() if last.text == ";" else f"{file.text.rstrip()}\n;"
