"""Everything that would stop an apply, found read-only before anything is written."""

import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psycopg
from psycopg.errors import InsufficientPrivilege

from rendio.migrate import buckets, catalog, roles
from rendio.migrate.catalog import Found
from rendio.migrate.cron import Scheduler
from rendio.migrate.errors import EditedFile, MigrateError, NotOurs
from rendio.migrate.files import File, Tree
from rendio.migrate.ledger import OWNER, Row
from rendio.migrate.session import Conn, one
from rendio.migrate.sqltext import Name, Thing

OLDEST, NEWEST_TESTED = 15, 18
API_ROLES = roles.API_ROLES
PUBLICATION = "supabase_realtime"
_AUTH = {"uid": "uuid", "role": "text", "jwt": "jsonb"}


@dataclass(frozen=True)
class Problem:
    """One reason to refuse; the class of the error decides the exit code."""

    error: type[MigrateError]
    message: str


def check_server(conn: Conn) -> None:
    """Refuse servers that cannot be worked with at all."""
    version = int(one(conn, "select pg_catalog.current_setting('server_version_num')"))
    if version < OLDEST * 10000:
        raise NotOurs(
            f"PostgreSQL {version // 10000} is not supported; PostgreSQL {OLDEST} or later is."
        )
    if one(conn, "select pg_catalog.pg_is_in_recovery()"):
        raise NotOurs("This server is a standby; use the URL of the primary.")
    if one(conn, "select pg_catalog.current_setting('default_transaction_read_only')") == "on":
        raise MigrateError(
            "The database is set to read only (default_transaction_read_only = on; Supabase does"
            " this when the disk is full). Nothing was changed; lift that first."
        )
    check_scheduler(conn)


# As cron.py looks for it: what belongs to neither a superuser nor the login is never called.
_FOREIGN_SCHEDULER = """
    select n.nspowner::regrole::text
    from pg_catalog.pg_namespace as n
    inner join pg_catalog.pg_proc as p on p.pronamespace = n.oid
    inner join pg_catalog.pg_roles as r on r.oid = p.proowner
    where
        n.nspname = 'cron' and p.proname = 'schedule'
        and pg_catalog.oidvectortypes(p.proargtypes) = 'text, text, text'
        and (r.rolsuper or r.rolname = current_user)
        and not exists (select from pg_catalog.pg_extension as e where e.extname = 'pg_cron')
        and 7 > (
            select pg_catalog.count(*)
            from pg_catalog.pg_class as c
            inner join pg_catalog.pg_attribute as a on a.attrelid = c.oid
            where
                c.relnamespace = n.oid and c.relname = 'job' and not a.attisdropped
                and a.attname in (
                    'jobid', 'jobname', 'schedule', 'command', 'database', 'username', 'active'
                )
        )
"""


def check_scheduler(conn: Conn) -> None:
    """Refuse a schema cron that has pg_cron's function and not its list of jobs.

    Before any other look at it: jobs are read, and later scheduled, by pg_cron's names.
    """
    owner = one(conn, _FOREIGN_SCHEDULER)
    if owner:
        raise NotOurs(
            f"Nothing was changed: schema cron, owner {owner}, was made neither by pg_cron nor by"
            " pg_cron_compat, and its cron.schedule() is the name that jobs are scheduled by."
            " Rename it (alter schema cron rename to …;) or apply to another database."
        )


def refuse(problems: Iterable[Problem]) -> None:
    """Raise all problems as one error; the gravest class wins."""
    found = list(problems)
    if not found:
        return
    kind = max((problem.error for problem in found), key=lambda error: error.exit_code)
    lines = "\n".join(f"- {problem.message}" for problem in found)
    raise kind(f"Nothing was changed. Before this database can be brought up to date:\n{lines}")


def problems(
    conn: Conn, tree: Tree, rows: dict[str, Row], pending: list[File], scheduler: Scheduler
) -> list[Problem]:
    """All reasons to refuse, in a snapshot opened by the caller."""
    found = [*history(tree, rows)]
    if any(problem.error is NotOurs for problem in found):
        return found  # made by a newer release: nothing below would be meaningful
    if not rows:
        found += [Problem(MigrateError, message) for message in roles.lacking(conn)]
    found += _dangerous_roles(conn)
    made = {identity for row in rows.values() for identity in row.defines}
    made |= _left_to_others(rows, pending)
    found += _foreign(conn, tree, pending, made)
    found += _supabase(conn, pending, made)
    found += _storage(conn, pending)
    found += _realtime(conn, pending)
    found += _scheduler(conn, pending, scheduler)
    found += _foreign_jobs(conn, tree, rows, scheduler)
    found += _leftover(conn, tree, rows, pending)
    return found


def _left_to_others(rows: dict[str, Row], pending: list[File]) -> set[str]:
    """What an administrator made, who ran a file in the place of a login without the right."""
    done = {path for path, row in rows.items() if row.state in ("applied", "skipped")}
    files = [file for file in pending if file.as_caller and file.path in done]
    return {str(thing) for file in files for thing in file.creates}


def history(tree: Tree, rows: dict[str, Row]) -> Iterator[Problem]:
    """Compare the versioned files with what the ledger says was applied."""
    newest = max((row.release for row in rows.values()), key=release_key, default="")
    if release_key(newest) > release_key(tree.release):
        yield Problem(
            NotOurs,
            f"the database was brought up by rendio {newest}, this is {tree.release}: install"
            f" {newest} or later",
        )
        return
    files = {file.path: file for file in tree.versioned}
    done = [row for row in rows.values() if row.path.startswith("sql/")]
    applied = [row for row in done if row.state == "applied"]
    for row in sorted(done, key=lambda row: row.path):
        if row.path not in files:
            done_to = "begun" if row.state == "running" else "applied"
            yield Problem(
                EditedFile, f"{row.path} was {done_to} and is gone: restore it from version control"
            )
        elif row.state == "applied" and files[row.path].checksum != row.checksum:
            yield Problem(
                EditedFile,
                f"{row.path} was edited after it was applied: restore it (git checkout -- "
                f"{row.path}) and put the change into a new file"
                f" sql/{tree.versioned[-1].number + 1:04d}_<name>.sql",
            )
    last = max((row.path for row in applied), default="")
    for file in tree.versioned:
        if file.path < last and file.path not in rows:
            yield Problem(
                EditedFile,
                f"{file.path} comes before {last}, which was applied: give it the number"
                f" {tree.versioned[-1].number + 1:04d}",
            )


def release_key(release: str) -> tuple[int, ...]:
    """Order release numbers; a pre-release (1.2.0rc1, .dev3) comes before its release."""
    match = re.match(r"[\d.]+", release)
    if match is None:
        return ()
    numbers = [int(part) for part in match[0].split(".") if part]
    numbers += [0] * (4 - len(numbers))
    return (*numbers, 0 if re.search(r"a|b|rc|dev", release) else 1)


def _dangerous_roles(conn: Conn) -> Iterator[Problem]:
    for danger in roles.dangers(conn):
        yield Problem(
            NotOurs,
            f"role {danger.role} {danger.problem}: as an administrator, {danger.remedy}",
        )


def _is_shared(thing: Thing) -> bool:
    """Objects that a Supabase database has and a plain one gets: checked one by one."""
    if thing.kind == "schema" and thing.name.name in ("auth", "extensions", "public"):
        return True
    if thing.kind in ("role", "extension"):
        return True
    return str(thing) == f"publication {PUBLICATION}" or (
        thing.kind == "function" and thing.name.schema == "auth" and thing.name.name in _AUTH
    )


_REMEDY = {
    "function": "drop it, or rename it: alter {identity} rename to …;",
    "procedure": "drop it, or rename it: alter {identity} rename to …;",
    "policy": "drop it: drop {identity};",
    "trigger": "drop it: drop {identity};",
}


def _foreign(conn: Conn, tree: Tree, pending: list[File], made: set[str]) -> Iterator[Problem]:
    """Objects that have the names we take and that the ledger does not know.

    Names of functions are always checked: a later overload by somebody else makes calls by name
    ambiguous.
    """
    things = [t for file in [*pending, *tree.functions] for t in file.creates]
    for found in catalog.find(conn, [thing for thing in things if not _is_shared(thing)]):
        if found.identity not in made and not _is_ours_to_judge(found):
            kind = found.identity.split(" ", 1)[0]
            remedy = _REMEDY.get(kind, "rename it: alter {identity} rename to …;")
            yield Problem(
                NotOurs,
                f"{found.identity}, owner {found.owner}, has the name of one of ours and was not"
                f" made by rendio: {remedy.format(identity=found.identity)}"
                " or apply to another database",
            )


def _is_ours_to_judge(found: Found) -> bool:
    """Functions of our owner under our names are overloads; they have an error of their own."""
    return found.owner == OWNER and found.thing.kind in ("function", "procedure", "policy")


def _supabase(conn: Conn, pending: list[File], made: set[str]) -> Iterator[Problem]:
    text = "\n".join(file.text for file in pending if file.as_caller)
    wanted = [name for name in _AUTH if re.search(rf"\bauth\.{name}\b", text)]
    if wanted:
        yield from _auth_schema(conn, wanted, made)
    for name in wanted:
        yield from _auth_function(conn, name, _AUTH[name], made)
    if PUBLICATION in text:
        yield from _publication(conn, made)


def _auth_schema(conn: Conn, wanted: list[str], made: set[str]) -> Iterator[Problem]:
    """An existing schema auth must be usable, and its owner, who can replace all in it, known."""
    row = conn.execute(
        """
        select
            current_user::regrole::text,
            r.oid::regrole::text,
            r.rolsuper or r.rolname in ('supabase_auth_admin', current_user),
            pg_catalog.has_schema_privilege(n.oid, 'usage'),
            pg_catalog.has_schema_privilege(n.oid, 'create'),
            array(select p.proname::text from pg_catalog.pg_proc as p where p.pronamespace = n.oid)
        from pg_catalog.pg_namespace as n
        inner join pg_catalog.pg_roles as r on r.oid = n.nspowner
        where n.nspname = 'auth'
        """
    ).fetchone()
    if row is None or "schema auth" in made:
        return
    login, owner, trusted, usage, create, existing = row
    if not trusted:
        yield Problem(
            NotOurs,
            f"schema auth, owner {owner}, belongs to a role that is neither a superuser nor"
            " supabase_auth_admin nor you, and row security relies on what is in it: alter schema"
            " auth rename to …; or apply to another database",
        )
    missing = [f"auth.{name}()" for name in wanted if name not in existing]
    rights = [
        right
        for right, needed in (("usage", not usage), ("create", missing and not create))
        if needed
    ]
    if rights:
        purpose = f" to make {', '.join(missing)}" if missing else ""
        yield Problem(
            MigrateError,
            f"{login} may not use schema auth, owner {owner}{purpose}: as an administrator,"
            f" grant {', '.join(rights)} on schema auth to {login};",
        )


def _auth_function(conn: Conn, name: str, kind: str, made: set[str]) -> Iterator[Problem]:
    thing = Thing("function", Name("auth", name))
    for found in catalog.find(conn, [thing]):
        if found.identity in made:
            continue
        reason = _why_not(conn, found, name, kind)
        if reason:
            yield Problem(
                NotOurs,
                f"{found.identity}, owner {found.owner}, {reason}: row security relies on it."
                f" Rename it (alter {found.identity} rename to …;) so that rendio makes its own,"
                " or apply to another database",
            )


def _why_not(conn: Conn, found: Found, name: str, kind: str) -> str | None:
    """Say why an existing auth function cannot be relied on; None when it can."""
    if found.identity != f"function auth.{name}()":
        return "takes arguments"
    trusted, returns = conn.execute(
        """
        select
            r.rolsuper or r.rolname in ('supabase_auth_admin', current_user),
            pg_catalog.format_type(p.prorettype, null)
        from pg_catalog.pg_proc as p
        inner join pg_catalog.pg_roles as r on r.oid = p.proowner
        inner join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
        where n.nspname = 'auth' and p.proname = %s and p.pronargs = 0
        """,
        [name],
    ).fetchone() or (False, "")
    if not trusted:  # and so it is never called
        return "belongs to a role that is neither a superuser nor supabase_auth_admin nor you"
    if returns != kind:
        return f"returns {returns}, not {kind}"
    if not one(conn, "select pg_catalog.has_schema_privilege('auth', 'usage')"):
        return None  # told already, and it cannot be called
    return _probe(conn, name)


def _probe(conn: Conn, name: str) -> str | None:
    """Call it with and without claims, as PostgREST would set them; read-only, rolled back."""
    user = str(uuid.uuid4())
    claims = f'{{"sub": "{user}", "role": "authenticated"}}'
    expected = {"uid": user, "role": "authenticated", "jwt": claims}[name]
    try:
        with conn.transaction(force_rollback=True):
            for key, value in (("s", claims), (".sub", user), (".role", "authenticated")):
                conn.execute(
                    "select pg_catalog.set_config(%s, %s, true)",
                    [f"request.jwt.claim{key}", value],
                )
            cast = "::jsonb" if name == "jwt" else "::text"
            same = one(conn, f"select auth.{name}(){cast} = %s{cast}", [expected])
        with conn.transaction(force_rollback=True):
            for key in ("s", ".sub", ".role"):
                conn.execute(
                    "select pg_catalog.set_config(%s, '', true)", [f"request.jwt.claim{key}"]
                )
            nobody = name == "jwt" or one(conn, f"select auth.{name}()::text is null")
    except InsufficientPrivilege:
        return "may not be called by you"
    except psycopg.Error as error:
        return f"fails when it is called ({error.diag.message_primary})"
    if not same:
        return "does not return what request.jwt.claims says"
    return None if nobody else "names somebody when there are no claims"


def _publication(conn: Conn, made: set[str]) -> Iterator[Problem]:
    """Supabase's publication is welcome; anybody else's of that name is not ours to extend."""
    thing = Thing("publication", Name("", PUBLICATION))
    for found in catalog.find(conn, [thing]):
        if found.identity in made:
            continue
        is_supabase = one(
            conn,
            """
            select
                pg_catalog.pg_has_role(p.pubowner, 'member')
                and pg_catalog.to_regrole('authenticator') is not null
                and pg_catalog.to_regnamespace('auth') is not null
            from pg_catalog.pg_publication as p
            where p.pubname = %s
            """,
            [PUBLICATION],
        )
        if not is_supabase:
            yield Problem(
                NotOurs,
                f"{found.identity}, owner {found.owner}, was not made by rendio and this is no"
                f" Supabase database of yours: alter publication {PUBLICATION} rename to …;",
            )


def _storage(conn: Conn, pending: list[File]) -> Iterator[Problem]:
    """A bucket of ours that is public is open whatever our policies say."""
    files = [file for file in pending if file.where == buckets.TABLE]
    if not files or one(conn, "select pg_catalog.to_regclass(%s) is null", [buckets.TABLE]):
        return
    if not buckets.is_supabase_s(conn):
        yield Problem(
            NotOurs,
            f"{buckets.TABLE} is not what Supabase makes, or older than the limits of buckets:"
            " upgrade it, rename the schema (alter schema storage rename to …;)"
            " or apply to another database",
        )
        return
    for bucket in buckets.public(conn, files):
        yield Problem(
            NotOurs,
            f"storage bucket {bucket} is public, and so is every file in it:"
            f" {buckets.closing(bucket)} from then on its files are read by signed URL",
        )


# The table, its columns and the function that policies/broadcast.sql counts on. Joined by name,
# because to_regclass() fails for a login that may not use the schema.
_REALTIME = "realtime.messages"
_IS_REALTIME_S = """
    select
        c.relkind in ('r', 'p')
        and (r.rolsuper or r.rolname in ('supabase_realtime_admin', current_user))
        and 3 = (
            select pg_catalog.count(*)
            from pg_catalog.pg_attribute as a
            where
                a.attrelid = c.oid and not a.attisdropped
                and (a.attname::text, pg_catalog.format_type(a.atttypid, null)) in (
                    ('topic', 'text'), ('extension', 'text'), ('private', 'boolean')
                )
        )
        and exists (
            select
            from pg_catalog.pg_proc as p
            where
                p.pronamespace = n.oid and p.proname = 'topic' and p.pronargs = 0
                and p.prorettype = 'text'::regtype
        )
    from pg_catalog.pg_class as c
    inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    inner join pg_catalog.pg_roles as r on r.oid = c.relowner
    where n.nspname || '.' || c.relname = %s
"""


def _realtime(conn: Conn, pending: list[File]) -> Iterator[Problem]:
    """Broadcasts are rows of a table, whose owner reads them all."""
    if not any(file.where == _REALTIME for file in pending):
        return
    if one(conn, _IS_REALTIME_S, [_REALTIME]) is False:  # None: there is none
        yield Problem(
            NotOurs,
            f"{_REALTIME} is not what Supabase makes, or older than private broadcasts: upgrade it,"
            " rename the schema (alter schema realtime rename to …;) or apply to another database",
        )


def _scheduler(conn: Conn, pending: list[File], scheduler: Scheduler) -> Iterator[Problem]:
    """The extension makes the schema cron, and cannot where there is one."""
    wanted = any(file.path.startswith("cron/") for file in pending)
    if scheduler.mode != "installable" or not wanted:
        return
    owner = one(
        conn,
        "select n.nspowner::regrole::text from pg_catalog.pg_namespace as n"
        " where n.nspname = 'cron'",
    )
    if owner:
        yield Problem(
            NotOurs,
            f"schema cron, owner {owner}, is in the way of the extension pg_cron: alter schema cron"
            " rename to …; or apply to another database",
        )


def _foreign_jobs(
    conn: Conn, tree: Tree, rows: dict[str, Row], scheduler: Scheduler
) -> Iterator[Problem]:
    """Jobs that have our names and that the ledger does not know.

    A name is looked up among the caller's own jobs alone; the number is any job's.
    """
    files = {file.stem: file for file in tree.cron}
    if not files.keys() & scheduler.jobs.keys():
        return
    for job, name, owner, database in conn.execute(
        "select j.jobid, j.jobname::text, j.username, j.database from cron.job as j"
        " where j.jobname::text = any(%s) order by j.jobid",
        [list(files)],
    ):
        if files[name].path in rows and database == scheduler.database:
            continue
        remedy = f"select cron.unschedule('{name}');"
        if owner != scheduler.login:
            remedy = f"as {owner} or a superuser, select cron.unschedule({job});"
        yield Problem(
            NotOurs,
            f"cron job {name}, owner {owner}, in database {database}, was not made by rendio:"
            f" {remedy} or rename it",
        )


def _leftover(
    conn: Conn, tree: Tree, rows: dict[str, Row], pending: list[File]
) -> Iterator[Problem]:
    """Functions and policies of our owner that no file writes any more."""
    if not rows:
        return
    written = {
        identity for file in tree.files if file.path in rows for identity in rows[file.path].defines
    }
    written |= {str(thing) for file in tree.policies if file.where for thing in file.creates}
    created = {str(thing) for file in pending for thing in file.creates}
    dropped = {(t.name, t.table) for file in pending for t in file.drops}
    for leftover in leftovers(conn, written):
        if (leftover.name, leftover.table) not in dropped and str(leftover.thing) not in created:
            yield Problem(MigrateError, leftover.message)


@dataclass(frozen=True)
class Leftover:
    """A function, view or policy of ours that no file writes."""

    identity: str
    thing: Thing

    @property
    def name(self) -> Name:
        return self.thing.name

    @property
    def table(self) -> Name | None:
        return self.thing.table

    @property
    def message(self) -> str:
        ours = self.table is None or self.table.schema in ("public", "rendio")
        marked = "" if ours else ", marked --! as caller"
        return (
            f"{self.identity} is written by no file any more. Add to the next versioned file"
            f"{marked}: drop {self.identity};"
        )


def leftovers(conn: Conn, written: set[str]) -> list[Leftover]:
    """What rendio_owner owns in our schemas beside what is written.

    And policies on tables of Supabase's storage, where our names begin with rendio_.
    """
    rows = conn.execute(
        """
        select
            case p.prokind when 'p' then 'procedure' else 'function' end as kind,
            n.nspname, p.proname, null::text, null::text, p.oid::regprocedure::text
        from pg_catalog.pg_proc as p
        inner join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
        where n.nspname in ('public', 'rendio') and p.proowner = pg_catalog.to_regrole(%(owner)s)
        union all
        select
            'policy', '', p.polname, n.nspname, c.relname,
            pg_catalog.quote_ident(p.polname) || ' on ' || c.oid::regclass::text
        from pg_catalog.pg_policy as p
        inner join pg_catalog.pg_class as c on c.oid = p.polrelid
        inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where
            c.relowner = pg_catalog.to_regrole(%(owner)s)
            or (n.nspname = 'storage' and pg_catalog.starts_with(p.polname, 'rendio_'))
        union all
        select 'view', n.nspname, c.relname, null, null, c.oid::regclass::text
        from pg_catalog.pg_class as c
        inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where
            n.nspname in ('public', 'rendio') and c.relkind = 'v'
            and c.relowner = pg_catalog.to_regrole(%(owner)s)
        order by 6
        """,
        {"owner": OWNER},
    )
    found = []
    for kind, schema, name, table_schema, table, signature in rows:
        on = Name(table_schema, table) if table else None
        leftover = Leftover(f"{kind} {signature}", Thing(kind, Name(schema, name), on))
        if leftover.identity not in written:
            found.append(leftover)
    return found
