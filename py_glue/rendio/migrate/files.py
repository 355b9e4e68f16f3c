"""The four SQL folders as data: which files there are, in which order, and what each writes.

Everything that can be told wrong from the text alone is refused here, before any connection.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from rendio import __version__
from rendio.migrate.errors import MigrateError
from rendio.migrate.sqltext import Name, Statement, Thing, split, tokens, unquote

VERSIONED, FUNCTION, POLICY, CRON = "versioned", "function", "policy", "cron"
_MARKERS = ("as caller", "no-transaction", "where <schema.table>")
_WHERE = re.compile(r"where ([a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*)")
_ROUTINES = ("function", "procedure")


@dataclass(frozen=True)
class File:
    """One SQL file; ``path`` is relative to the root, with forward slashes."""

    path: str
    kind: str
    text: str
    statements: tuple[Statement, ...]
    markers: frozenset[str] = frozenset()

    @cached_property
    def checksum(self) -> str:
        """The sha256 of the bytes, line ends normalised."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def as_caller(self) -> bool:
        return "as caller" in self.markers

    @property
    def no_transaction(self) -> bool:
        return "no-transaction" in self.markers

    @property
    def where(self) -> str | None:
        """The table without which the file has nothing to say: it is then recorded, not run."""
        found = (_WHERE.fullmatch(marker) for marker in self.markers)
        return next((match[1] for match in found if match), None)

    @property
    def stem(self) -> str:
        return self.path.rsplit("/", 1)[-1].removesuffix(".sql")

    @property
    def number(self) -> int:
        """The position of a versioned file."""
        return int(self.stem[:4])

    @cached_property
    def creates(self) -> list[Thing]:
        return [thing for statement in self.statements for thing in statement.creates]

    @cached_property
    def drops(self) -> list[Thing]:
        return [thing for statement in self.statements for thing in statement.drops]

    @property
    def target(self) -> Thing:
        """The one object that a function file defines."""
        return self.creates[0]

    @property
    def tables(self) -> list[Name]:
        """The tables that a policy file locks exclusively, in name order."""
        names = {
            lock.table
            for statement in self.statements
            for lock in statement.locks
            if lock.mode == "access exclusive"
        }
        return sorted(names, key=str)


@dataclass(frozen=True)
class CronJob:
    """What a cron file asks for."""

    name: str
    schedule: str
    command: str


@dataclass(frozen=True)
class Tree:
    """All files of a release, each kind in the order in which it is applied."""

    root: Path
    release: str
    versioned: list[File] = field(default_factory=list)
    functions: list[File] = field(default_factory=list)
    policies: list[File] = field(default_factory=list)
    cron: list[File] = field(default_factory=list)

    @property
    def files(self) -> list[File]:
        return [*self.versioned, *self.functions, *self.policies, *self.cron]


def read_tree(root: Path) -> Tree:
    """Read and check the folders; all complaints are raised together."""
    complaints: list[str] = []
    versioned = _read(root, "sql/*.sql", VERSIONED, complaints)
    functions = [
        *_read(root, "functions/*/*.sql", FUNCTION, complaints),
        *_read(root, "functions/*/internal/*.sql", FUNCTION, complaints),
        *_read(root, "functions/*/views/*.sql", FUNCTION, complaints),
    ]
    policies = _read(root, "policies/*.sql", POLICY, complaints)
    cron = _read(root, "cron/*.sql", CRON, complaints)
    complaints += _misplaced(root, [*versioned, *functions, *policies, *cron])
    complaints += _check_versioned(versioned)
    complaints += _check_functions(functions)
    for file in cron:
        try:
            cron_job(file)
        except ValueError as error:
            complaints.append(f"{file.path}: {error}")
    if complaints:
        raise MigrateError("\n".join(complaints))
    if not versioned:
        raise MigrateError(f"No files in {root / 'sql'}: this is not a folder of rendio's SQL.")
    ordered = _in_dependency_order(functions)
    return Tree(root, _release(functions), versioned, ordered, policies, cron)


def _read(root: Path, pattern: str, kind: str, complaints: list[str]) -> list[File]:
    files = []
    for path in sorted(root.glob(pattern)):
        relative = path.relative_to(root).as_posix()
        try:
            text = path.read_bytes().decode().replace("\r\n", "\n")
        except (OSError, UnicodeDecodeError) as error:
            complaints.append(f"{relative}: cannot be read as UTF-8: {error}")
            continue
        file = File(relative, kind, text, tuple(split(text)), _markers(text))
        complaints += [f"{relative}{complaint}" for complaint in _check_text(file)]
        files.append(file)
    return files


def _markers(text: str) -> frozenset[str]:
    """The ``--!`` lines of the leading comment block."""
    found = set()
    for token in tokens(text):
        if token.kind != "comment":
            break
        if token.text.startswith("--!"):
            found.add(token.text[3:].strip())
    return frozenset(found)


def _check_text(file: File) -> Iterable[str]:
    for marker in file.markers - set(_MARKERS):
        if not _WHERE.fullmatch(marker):
            yield f": unknown marker --! {marker}; known are {', '.join(_MARKERS)}."
        elif file.kind != POLICY or not file.as_caller:
            yield ": --! where is for a policy file that is marked --! as caller."
    if not file.statements:
        yield ": holds no statement."
    for statement in file.statements:
        if reason := _forbidden(file, statement):
            yield f":{statement.line}: {reason}"
    if file.no_transaction and not (
        file.kind == VERSIONED
        and len(file.statements) == 1
        and "concurrently" in file.statements[0].words
        and [thing.kind for thing in file.creates] == ["index"]
    ):
        yield ": --! no-transaction takes exactly one `create index concurrently <name> on …`."
    if not file.no_transaction and any("concurrently" in s.words[:4] for s in file.statements):
        yield ": `concurrently` needs a versioned file of its own, marked --! no-transaction."


_TRANSACTION_CONTROL = frozenset(
    ("begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "prepare")
)


def _forbidden(file: File, statement: Statement) -> str | None:
    """Say why a statement may not stand in a file: the runner owns transaction and session."""
    words = statement.words
    if words[0] in _TRANSACTION_CONTROL:
        return f"`{words[0]}` is the runner's business; each file is one transaction."
    if statement.text.startswith("\\"):
        return "psql commands are not SQL; write plain SQL."
    if words[0] == "copy" and "stdin" in words:
        return "copy from stdin needs a client; write insert … values."
    if words[0] == "discard" or statement.starts("reset", "all"):
        return f"`{words[0]}` would undo the runner's session settings."
    if words[0] == "reset" or (words[0] == "set" and words[1:2] != ("local",)):
        return None if _is_role_switch(file, words) else "only `set local` ends with the file."
    if statement.starts("set", "local", "role") and not file.as_caller:
        return "the runner chooses the role; mark the file --! as caller to change it."
    return None


def _is_role_switch(file: File, words: tuple[str, ...]) -> bool:
    return file.as_caller and words[:2] == ("reset", "role")


def _misplaced(root: Path, known: list[File]) -> Iterable[str]:
    paths = {file.path for file in known}
    for folder in ("sql", "functions", "policies", "cron"):
        for path in sorted((root / folder).rglob("*.sql")):
            relative = path.relative_to(root).as_posix()
            if relative not in paths:
                yield f"{relative}: no place for a SQL file; see the tree in README.md."


def _check_versioned(files: list[File]) -> Iterable[str]:
    seen: dict[str, str] = {}
    for file in files:
        if not re.fullmatch(r"\d{4}_[a-z0-9_]+", file.stem):
            yield f"{file.path}: a versioned file is named NNNN_name.sql."
            continue
        other = seen.setdefault(file.stem[:4], file.path)
        if other != file.path:
            yield f"{file.path}: the number is taken by {other}."
    if files and not files[0].as_caller:
        yield f"{files[0].path}: the first file creates roles and must be marked --! as caller."


def _check_functions(files: list[File]) -> Iterable[str]:
    seen: dict[str, str] = {}
    for file in files:
        wanted = _expected(file)
        found = [str(thing) for thing in file.creates]
        if len(found) != 1 or found[0] not in wanted:
            yield (
                f"{file.path}: must create exactly {' or '.join(wanted)}"
                f" and creates {', '.join(found) or 'nothing'}."
            )
        elif (other := seen.setdefault(found[0], file.path)) != file.path:
            yield f"{file.path}: {found[0]} is already defined by {other}."


def _expected(file: File) -> list[str]:
    """What the path says the file defines."""
    parts = file.path.split("/")
    if len(parts) == 4 and parts[2] == "views":
        return [f"view {Name(schema, file.stem)}" for schema in ("public", "rendio")]
    schema = "rendio" if len(parts) == 4 else "public"
    return [f"{routine} {Name(schema, file.stem)}" for routine in _ROUTINES]


def cron_job(file: File) -> CronJob:
    """Read ``select cron.schedule('<stem>', '<schedule>', $$select …()$$);``, nothing else."""
    form = "select cron.schedule('<file stem>', '<schedule>', $$select schema.function()$$);"
    literals = [token for token in file.statements[0].tokens if token.kind in ("string", "dollar")]
    if len(file.statements) != 1 or len(literals) != 3:
        raise ValueError(f"a cron file holds one statement of the form {form}")
    shape = "".join("?" if t in literals else t.text for t in file.statements[0].tokens)
    if shape != "selectcron.schedule(?,?,?)":
        raise ValueError(f"a cron file holds one statement of the form {form}")
    job = CronJob(*(unquote(token.text).strip() for token in literals))
    if job.name != file.stem:
        raise ValueError(f"schedules {job.name!r}; the job's name is the file's stem.")
    if not re.fullmatch(r"(select|call)\s+(public|rendio)\.\w+\([^;]*\)\s*;?", job.command):
        raise ValueError("the job's command only calls one function of ours.")
    return job


def _release(functions: list[File]) -> str:
    """The release number of these files: what ``rendio.version()`` returns."""
    for file in functions:
        match = re.search(r"select '([^']+)'::text", file.text)
        if match and file.path.endswith("/internal/version.sql"):
            return match[1]
    return __version__


def _in_dependency_order(files: list[File]) -> list[File]:
    """Helpers, then views, then RPCs; but what a definition needs at creation comes before it.

    Bodies in quotes are resolved when they run, so only names outside of them count: defaults,
    view queries, ``begin atomic`` bodies. A circle among those falls back to the plain order.
    """
    waiting = sorted(files, key=_stage)
    needs = {file.path: _needs(file, files) for file in files}
    ordered: list[File] = []
    done: set[str] = set()
    while waiting:
        ready = next((file for file in waiting if needs[file.path] <= done), waiting[0])
        waiting.remove(ready)
        ordered.append(ready)
        done.add(ready.path)
    return ordered


def _stage(file: File) -> tuple[int, str]:
    parts = file.path.split("/")
    inner = parts[2] if len(parts) == 4 else ""
    return {"internal": 0, "views": 1}.get(inner, 2), file.path


def _needs(file: File, files: list[File]) -> set[str]:
    """The paths of the files whose objects the definition names outside of quoted bodies."""
    defining = next(statement for statement in file.statements if statement.creates)
    texts = [token.text for token in defining.tokens]
    mentioned = {(texts[i], texts[i + 2]) for i in range(len(texts) - 2) if texts[i + 1] == "."}
    return {
        other.path
        for other in files
        if other is not file and (other.target.name.schema, other.target.name.name) in mentioned
    }
