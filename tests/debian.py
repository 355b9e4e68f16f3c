"""Install on Debian what the tests need, and leave every cluster of the machine as it is."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

MAJORS = (15, 16, 17, 18)
OTHERS = ("pgbouncer", "libtap-parser-sourcehandler-pgtap-perl", "gcc", "libc6-dev")
MODULES = ("pgtap", "cron", "plpgsql-check", "wal2json")
NO_MAIN_CLUSTER = Path("/etc/postgresql-common/createcluster.d/rendio-tests.conf")
NO_SERVICES = Path("/usr/sbin/policy-rc.d")
MARK = "# Written by the tests of rendio while they install packages; remove it if it stayed.\n"


class CannotInstall(Exception):
    """Packages are missing and were not installed; says which, and how to go on."""


def packages(major: int) -> list[str]:
    """Return what the tests need around that PostgreSQL."""
    server = f"postgresql-{major}"
    return [server, *(f"{server}-{module}" for module in MODULES), *OTHERS]


def missing_packages(major: int) -> list[str]:
    """Return which of them are not installed."""
    if not shutil.which("dpkg-query"):
        return packages(major)
    command = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n"]
    told = subprocess.run([*command, *packages(major)], capture_output=True, text=True)
    installed = {
        line.split()[0] for line in told.stdout.splitlines() if line.endswith(" installed")
    }
    return [name for name in packages(major) if name not in installed]


def running_clusters() -> list[str]:
    """Return this machine's own clusters that run, like ``15/main``."""
    if not shutil.which("pg_lsclusters"):
        return []
    told = subprocess.run(["pg_lsclusters", "--no-header"], capture_output=True, text=True).stdout
    rows = [line.split() for line in told.splitlines()]
    return [f"{row[0]}/{row[1]}" for row in rows if len(row) > 3 and row[3].startswith("online")]


def ensure_installed(major: int | None = None) -> None:
    """Install what is missing around that PostgreSQL (the oldest on offer), or say why not."""
    allowed = os.geteuid() == 0 and os.environ.get("RENDIO_APT") != "0"
    major = major or _oldest_on_offer(may_update=allowed)
    missing = missing_packages(major)
    if not missing:
        return
    if why_not := _why_not(allowed):
        raise CannotInstall(_instead(why_not, missing))
    print(f"Installing: {' '.join(missing)}", flush=True)
    with _file(NO_MAIN_CLUSTER, MARK + "create_main_cluster = false\n", 0o644), no_services():
        _apt(missing)
    if "pgbouncer" in missing and shutil.which("systemctl"):  # nor may it start with the machine
        subprocess.run(["systemctl", "--quiet", "disable", "pgbouncer"], capture_output=True)


def _oldest_on_offer(may_update: bool) -> int:
    if shutil.which("apt-cache"):
        for _ in range(2):
            for major in MAJORS:
                asked = ["apt-cache", "show", f"postgresql-{major}"]
                if subprocess.run(asked, capture_output=True).returncode == 0:
                    return major
            if may_update:  # a fresh container has no lists yet
                subprocess.run(["apt-get", "-qq", "update"], capture_output=True)
    return MAJORS[0]


def _why_not(allowed: bool) -> str | None:
    """Return why nothing is installed now; ask a person before it is below a running cluster."""
    if not shutil.which("apt-get"):
        return "There is no apt-get here."
    if not allowed:
        return "RENDIO_APT=0 forbids it." if os.geteuid() == 0 else "Only root installs packages."
    clusters = running_clusters()
    if not clusters:
        return None
    running = f"PostgreSQL runs here ({', '.join(clusters)}): installing may upgrade its files."
    if not sys.stdin.isatty():
        return f"{running} There is no terminal to ask on."
    agreed = input(f"{running} Install? [y/N] ").strip().lower() in ("y", "yes")
    return None if agreed else running


def _instead(why: str, missing: Sequence[str]) -> str:
    return (
        f"The tests need packages that are not installed. {why}\n"
        f"Run:  apt-get install --no-install-recommends {' '.join(missing)}\n"
        "or:   RENDIO_TEST_URL=URL make test   (a superuser's, on a server with pgTAP)\n"
        "or:   RENDIO_TEST_SERVER=embedded make test   (PGTAP_SQL names a pgTAP script)"
    )


def _apt(missing: Sequence[str]) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    install = [*apt, "install", "--yes", "--no-install-recommends", "--no-upgrade", *missing]
    for command in (install, [*apt, "update"], install):  # lists may be absent, or old
        told = subprocess.run(command, env=environment, capture_output=True, text=True)
        if command is install and told.returncode == 0:
            return
    print(told.stdout[-2000:] + told.stderr[-2000:], file=sys.stderr)
    raise CannotInstall(_instead("apt-get failed.", missing))


@contextmanager
def no_services() -> Iterator[None]:
    """Let no package start, stop or restart a service (a pgbouncer, a cluster) meanwhile."""
    if NO_SERVICES.exists() and MARK not in NO_SERVICES.read_text():
        yield  # the machine has its own policy, as containers do
        return
    with _file(NO_SERVICES, f"#!/bin/sh\n{MARK}exit 101\n", 0o755):
        yield


@contextmanager
def _file(path: Path, text: str, mode: int) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    try:
        yield
    finally:
        path.unlink()
