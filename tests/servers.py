"""Which PostgreSQL server the tests run on, and its life from the first fixture to the last.

``RENDIO_TEST_URL`` names a server to use; otherwise ``RENDIO_TEST_SERVER`` chooses the kind:

    debian      a private cluster of the installed server that has pgTAP (the default)
    embedded    a private cluster of the carrier's PostgreSQL 18; ``embedded16`` of its 16
    container   testcontainers, where a Docker engine answers

A private cluster is removed by a reaper, a child process that waits for the end of its standard
input: the kernel closes that when the tests end, however they end.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from pgtap_runner.template import copy_properties
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from rendio import embedded
from rendio.embedded import EmbeddedError, Server

KINDS = ("debian", "embedded", "embedded16", "container")
CRON_DATABASE = "rendio_cron"
MEMORY, ROOM = "/dev/shm", 4 * 2**30
SETTINGS = {
    "wal_level": "logical",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "max_locks_per_transaction": "256",
    "max_worker_processes": "16",
}


class NoServer(Exception):
    """No server to test on; says what to provide."""


def chosen_kind() -> str:
    """Return the kind of server that the environment asks for."""
    if os.environ.get("RENDIO_TEST_URL"):
        return "url"
    kind = os.environ.get("RENDIO_TEST_SERVER") or "debian"
    if kind not in KINDS:
        raise NoServer(f"RENDIO_TEST_SERVER={kind}: no such kind; one of {', '.join(KINDS)}")
    return kind


def bin_dir_of(kind: str) -> Path:
    """Return the binaries of a private cluster of that kind."""
    try:
        if kind.startswith("embedded"):
            return embedded.carrier_binaries(16 if kind == "embedded16" else 18)
    except EmbeddedError as error:
        raise NoServer(f"{kind}: {error}") from error
    for bin_dir in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parts[4])):
        if int(bin_dir.parts[4]) >= 15 and (_share_of(bin_dir) / "pgtap.control").exists():
            return bin_dir
    raise NoServer(
        "no installed PostgreSQL 15 or later with pgTAP: run  make test,  which installs it on "
        "Debian, or install postgresql-15 and postgresql-15-pgtap, or set RENDIO_TEST_URL to the "
        "URL of a superuser on a server to test on, or RENDIO_TEST_SERVER=embedded"
    )


def installed_bin_dirs() -> dict[str, Path]:
    """Return every server that a private cluster can be made of here, by kind."""
    found = {}
    for kind in ("debian", "embedded16", "embedded"):
        with suppress(NoServer):
            found[kind] = bin_dir_of(kind)
    return found


def pgtap_script() -> Path | None:
    """Return an installed pgTAP script, which serves every server version."""
    scripts = Path("/usr/share/postgresql").glob("*/extension/pgtap--*.sql")
    return max((p for p in scripts if p.name.count("--") == 1), default=None)


def _share_of(bin_dir: Path) -> Path:
    return Path("/usr/share/postgresql") / bin_dir.parts[4] / "extension"


def _preloads(bin_dir: Path) -> dict[str, str]:
    """Return the settings that load what is installed for these binaries and must be preloaded."""
    libraries = bin_dir.parent / "lib"
    found = [n for n in ("pg_cron", "pg_stat_statements") if (libraries / f"{n}.so").exists()]
    settings = {"shared_preload_libraries": ",".join(found)} if found else {}
    if "pg_cron" in found:
        settings |= {"cron.database_name": CRON_DATABASE, "cron.use_background_workers": "on"}
    return settings


# --- a server under test --------------------------------------------------------------------------


@dataclass(frozen=True)
class Cluster:
    """A running server under test. Every URL is its superuser's unless a user is named."""

    label: str
    superuser_url: str
    psql_path: Path
    pgbench_path: Path

    def url(self, dbname: str, user: str | None = None) -> str:
        """Return the URL of a database of this server."""
        named = {"dbname": dbname} | ({"user": user} if user else {})
        return _as_url(conninfo_to_dict(self.superuser_url, **named))

    @property
    def version_num(self) -> int:
        with self.admin() as conn:
            return conn.info.server_version

    @property
    def cron_database(self) -> str | None:
        """The one database that pg_cron can live in, if this server has it loaded."""
        with self.admin() as conn:
            row = conn.execute("select current_setting('cron.database_name', true)").fetchone()
        return row[0] if row else None

    def has_extension(self, name: str) -> bool:
        with self.admin() as conn:
            query = "select 1 from pg_catalog.pg_available_extensions where name = %s"
            return conn.execute(query, [name]).fetchone() is not None

    def admin(self, dbname: str | None = None) -> psycopg.Connection[Any]:
        """Return a superuser's autocommit connection."""
        url = self.url(dbname) if dbname else self.superuser_url
        return psycopg.connect(url, autocommit=True)

    def create(self, dbname: str, template: str | None = None, owner: str | None = None) -> str:
        """Create a database, as a copy of another when asked, and return its URL."""
        command = sql.SQL("create database {} template {}").format(
            sql.Identifier(dbname), sql.Identifier(template or "template0")
        )
        if owner:
            command += sql.SQL(" owner {}").format(sql.Identifier(owner))
        with self.admin() as conn:
            conn.execute(command)
            if template:
                copy_properties(conn, template, dbname)
        return self.url(dbname)

    def drop(self, dbname: str) -> None:
        """Drop a database and whoever is still connected to it."""
        with self.admin() as conn:
            conn.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(dbname))
            )


def _as_url(parts: Mapping[str, Any]) -> str:
    rest = {k: str(v) for k, v in parts.items() if v is not None}
    quoted = {k: quote(rest.pop(k, ""), safe="") for k in ("user", "password", "dbname")}
    login = quoted["user"] + (f":{quoted['password']}" if quoted["password"] else "")
    query = "&".join(f"{k}={quote(v, safe='')}" for k, v in rest.items())
    return f"postgresql://{login}@/{quoted['dbname']}?{query}"


# --- private clusters -----------------------------------------------------------------------------


class Scratch:
    """A folder for servers; whatever lives in it ends when this process does.

    In memory, where there is enough: a copy of a database is four hundred files, which some disks
    take a third of a second for. Not for what is said of a disk.
    """

    def __init__(self, bin_dir: Path, *, in_memory: bool = False) -> None:
        self.bin_dir = bin_dir
        # Not below TMPDIR or pytest's folder: a socket's path is short, and the user whom the
        # server runs as must be able to enter.
        parent = MEMORY if in_memory and _fits(MEMORY) else "/tmp"
        self.folder = Path(tempfile.mkdtemp(prefix="rendio-test-", dir=parent))
        self.folder.chmod(0o755)
        self._reaper = subprocess.Popen(
            [sys.executable, __file__, "reap", bin_dir, self.folder],
            stdin=subprocess.PIPE,
            start_new_session=True,  # an interrupt from the terminal is for the tests
        )

    def close(self) -> None:
        assert self._reaper.stdin
        self._reaper.stdin.close()
        self._reaper.wait()


def _fits(folder: str) -> bool:
    """Tell whether a run has room in a folder, and may start programs there."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    room = found.f_bavail * found.f_frsize
    return os.access(folder, os.W_OK) and not found.f_flag & os.ST_NOEXEC and room >= ROOM


def reap(bin_dir: Path, folder: Path) -> None:
    """Wait until standard input ends, then end what lives in the folder and delete it."""
    sys.stdin.read()
    for pid_file in folder.glob("*/pgbouncer.pid"):
        with suppress(ValueError, ProcessLookupError):
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
    for conf in list(folder.rglob(embedded.CONF)):
        Server(bin_dir, conf.parent).remove()
    shutil.rmtree(folder, ignore_errors=True)


def start_in(
    folder: Path,
    bin_dir: Path,
    superuser: str = "postgres",
    settings: Mapping[str, str] | None = None,
) -> Cluster:
    """Start the scratch folder's cluster unless it runs, and return it."""
    options = SETTINGS | _preloads(bin_dir) | dict(settings or {})
    server = Server(bin_dir, folder / "pg", settings=options, superuser=superuser)
    server.ensure_started()
    label = f"private PostgreSQL {server.version}"
    return Cluster(label, server.url("postgres"), server.psql_path, server.pgbench_path)


@contextmanager
def private_cluster(
    bin_dir: Path, *, superuser: str = "postgres", settings: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """Run a cluster of one's own beside the session's, for as long as the block lasts."""
    is_durable = (SETTINGS | dict(settings or {}))["fsync"] == "on"
    scratch = Scratch(bin_dir, in_memory=not is_durable)
    try:
        yield start_in(scratch.folder, bin_dir, superuser, settings)
    finally:
        scratch.close()


# --- one run of the tests -------------------------------------------------------------------------


@dataclass
class Run:
    """What all workers of one pytest run share: a folder, and the server chosen for it."""

    kind: str
    folder: Path
    server_url: str = ""  # of a server that is not ours
    bin_dir: Path | None = None
    prefix: str = ""
    scratch: Scratch | None = field(default=None, repr=False)
    container: Any = field(default=None, repr=False)

    @classmethod
    def begin(cls) -> "Run":
        """Choose the server and prepare its removal; starting it is left to who needs it first."""
        kind = chosen_kind()
        if kind in ("url", "container"):
            container = _start_container() if kind == "container" else None
            url = container.get_connection_url() if container else os.environ["RENDIO_TEST_URL"]
            folder = Path(tempfile.mkdtemp(prefix="rendio-test-", dir="/tmp"))
            folder.chmod(0o755)  # pgbouncer, which does not run as root, has its folder in it
            prefix = f"rendio_test_{os.getpid()}_"
            return cls(kind, folder, url, prefix=prefix, container=container)
        bin_dir = bin_dir_of(kind)
        scratch = Scratch(bin_dir, in_memory=True)
        return cls(kind, scratch.folder, bin_dir=bin_dir, scratch=scratch)

    def for_worker(self) -> str:
        """Return this run as text that a worker process can continue from."""
        bin_dir = str(self.bin_dir or "")
        return json.dumps([self.kind, str(self.folder), self.server_url, bin_dir, self.prefix])

    @classmethod
    def of_worker(cls, text: str) -> "Run":
        kind, folder, url, bin_dir, prefix = json.loads(text)
        return cls(kind, Path(folder), url, Path(bin_dir) if bin_dir else None, prefix)

    @property
    def version(self) -> str:
        """The server's version, which a private one need not run to tell."""
        if self.bin_dir:
            return embedded.server_version(self.bin_dir)
        try:
            with psycopg.connect(self.server_url) as conn:
                return (conn.info.parameter_status("server_version") or "").split()[0]
        except psycopg.OperationalError as error:
            return f"unknown ({str(error).strip()})"

    def cluster(self, superuser: str, settings: Mapping[str, str]) -> Cluster:
        """Return the server, started by whoever comes first."""
        if self.bin_dir:
            return start_in(self.folder, self.bin_dir, superuser, settings)
        tools = [Path(shutil.which(tool) or tool) for tool in ("psql", "pgbench")]
        return Cluster(f"server of {self.kind}", self.server_url, *tools)

    def once(self, name: str, work: Callable[[], Any]) -> Any:
        """Do some work in one worker of the run; all get its (JSON) result."""
        done = self.folder / f"{name}.json"
        with self.exclusive(name):
            if not done.exists():
                done.write_text(json.dumps(work()))
        return json.loads(done.read_text())

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold a lock that the workers of this run share."""
        with open(self.folder / f"{name}.lock", "w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def end(self) -> None:
        """Remove what this run made."""
        if self.scratch:
            self.scratch.close()
            return
        if self.kind == "url":
            self._drop_databases()
        if self.container:
            self.container.stop()
        shutil.rmtree(self.folder)

    def _drop_databases(self) -> None:
        cluster = self.cluster("", {})
        with suppress(psycopg.OperationalError), cluster.admin() as conn:
            names = conn.execute(
                "select datname from pg_database where starts_with(datname, %s)", [self.prefix]
            ).fetchall()
            for (name,) in names:
                cluster.drop(name)


def _start_container() -> Any:
    if not _docker_answers():
        raise NoServer(
            "RENDIO_TEST_SERVER=container: no Docker engine answers at "
            f"{_docker_socket()} (GET /_ping); start one, or choose another kind of server"
        )
    try:
        from testcontainers.community.postgres import PostgresContainer
    except ImportError as error:
        raise NoServer(
            "RENDIO_TEST_SERVER=container: run  pip install 'testcontainers[postgres]'"
        ) from error
    image = os.environ.get("RENDIO_TEST_IMAGE") or "postgres:17"
    container = PostgresContainer(image, username="postgres", driver=None)
    return container.with_command("-c wal_level=logical -c max_connections=300").start()


def _docker_socket() -> str:
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def _docker_answers() -> bool:
    """Ask the engine itself: a docker command without an engine is common."""
    scheme, _, place = _docker_socket().partition("://")
    try:
        if scheme == "unix":
            engine = socket.socket(socket.AF_UNIX)
            engine.settimeout(2)
            engine.connect(place)
        else:
            host, _, port = place.rstrip("/").partition(":")
            engine = socket.create_connection((host, int(port or 2375)), timeout=2)
        with engine:
            engine.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in engine.recv(64)
    except (OSError, ValueError):
        return False


# --- pgbouncer ------------------------------------------------------------------------------------


def pgbouncer_program() -> str | None:
    """Return the installed pgbouncer; Debian keeps it off the path of ordinary users."""
    return shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")


@contextmanager
def pgbouncer(cluster: Cluster, folder: Path, name: str) -> Iterator[Callable[[str], str]]:
    """Run pgbouncer in transaction mode in front of a server; yield url -> the same, pooled."""
    program = pgbouncer_program()
    assert program, "pgbouncer is not installed"
    own = folder / name
    own.mkdir(mode=0o700)
    user = embedded.server_user()
    if user:
        os.chown(own, user.pw_uid, user.pw_gid)
    server = conninfo_to_dict(cluster.superuser_url)
    target = " ".join(f"{k}={server[k]}" for k in ("host", "port", "password") if server.get(k))
    (own / "users").write_text(f'"{server["user"]}" "{server.get("password") or ""}"\n')
    (own / "ini").write_text(
        f"""
[databases]
* = {target} auth_user={server["user"]}
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {own}
auth_type = trust
auth_file = {own}/users
auth_query = select rolname, '' from pg_catalog.pg_roles where rolname = $1
pool_mode = transaction
max_client_conn = 500
default_pool_size = 40
server_idle_timeout = 5
pidfile = {own}/pgbouncer.pid
logfile = {own}/log
"""
    )
    for file in ("users", "ini"):
        (own / file).chmod(0o644)
    started = embedded.run([program, "-q", "-d", own / "ini"], user)
    log = (own / "log").read_text() if (own / "log").exists() else started.stderr
    assert started.returncode == 0, f"pgbouncer does not start: {log}"

    def pooled_url(url: str) -> str:
        """Return the URL of the same database through pgbouncer."""
        parts = conninfo_to_dict(url)
        return _as_url({k: parts.get(k) for k in ("user", "dbname")} | {"host": own, "port": 6432})

    try:
        _wait_for(pooled_url(cluster.superuser_url))
        yield pooled_url
    finally:
        with suppress(ProcessLookupError):
            os.kill(int((own / "pgbouncer.pid").read_text()), signal.SIGKILL)


def _wait_for(url: str) -> None:
    """Wait until a daemon that has only just forked accepts connections."""
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    _, verb, *arguments = sys.argv
    assert verb == "reap"
    reap(*map(Path, arguments))
