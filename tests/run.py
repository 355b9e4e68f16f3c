"""``make test``: install what is missing, run the tests on each server, show what was tested.

Arguments go to pytest, on the first server alone: ``make test T=tests/pgtap/credits``. With
``--all``, which ``make check`` passes, the thorough tests run too, the first server takes the other
shapes of database (see profiles/), and PostgreSQL 16 has its turn. The marks in pyproject.toml say
what is left out where.
RENDIO_TEST_URL or RENDIO_TEST_SERVER names the one server to test on (see servers.py),
RENDIO_TEST_PROFILE the shape of the database for all the tests;
RENDIO_APT=0 forbids to install anything.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import debian
import servers
from rendio import embedded

TESTS = Path(__file__).parent
PRIVATE = ("debian", "embedded")  # the oldest PostgreSQL that is supported, and the newest
BETWEEN = ("embedded16",)
PROFILES = ("supabase", "supabase_open", "rds")
EVERYTHING = ["-n", "2", "--dist", "worksteal", str(TESTS)]
COLUMNS = ("server", "version", "profile", "SQL assertions", "Python tests", "failed", "skipped")


def main() -> int:
    narrowed = [argument for argument in sys.argv[1:] if argument != "--all"]
    chosen = os.environ.get("RENDIO_TEST_URL") or os.environ.get("RENDIO_TEST_SERVER")
    first, *others = [servers.chosen_kind()] if chosen else PRIVATE
    if "debian" in (first, *others):
        installed = _installed_major()
        if not (narrowed and installed):
            debian.ensure_installed(installed)
    if narrowed:
        reports = [_run(first, narrowed)]
    elif "--all" in sys.argv[1:]:
        reports = [_run(first, EVERYTHING)]
        reports += [_run(kind, _without("once")) for kind in others]
        elsewhere = _without("once", "shapeless")
        reports += [_run(first, elsewhere, name) for name in PROFILES]
        reports += [_run(kind, elsewhere) for kind in BETWEEN if not chosen]
    else:
        reports = [_run(first, _without("thorough"))]
        reports += [_run(kind, _without("thorough", "once")) for kind in others]
    _show([report for report, _ in reports])
    return max(code for _, code in reports)


def _without(*marks: str) -> list[str]:
    """Return pytest's arguments for all tests but those with one of the marks."""
    units = [f"--ignore={TESTS / 'unit'}"] if "once" in marks else []
    return [*EVERYTHING, *units, "-m", " and ".join(f"not {mark}" for mark in marks)]


def _installed_major() -> int | None:
    try:
        return int(embedded.server_version(servers.bin_dir_of("debian")).split(".")[0])
    except servers.NoServer:
        return None


def _run(kind: str, scope: list[str], profile: str | None = None) -> tuple[dict[str, Any], int]:
    """Run the tests on one server; return what conftest.py reports, and pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        environment = os.environ | {"RENDIO_TEST_REPORT": str(path)}
        if profile:
            environment["RENDIO_TEST_PROFILE"] = profile
        if kind != "url":
            environment["RENDIO_TEST_SERVER"] = kind
        print(f"\n== {kind} {profile or ''}", flush=True)
        command = [sys.executable, "-m", "pytest", "--quiet", *scope]
        code = subprocess.run(command, env=environment).returncode
        if path.exists():
            return json.loads(path.read_text()), code
    told = {"server": kind, "version": "did not run to its end", "profile": profile or ""}
    return told | {"skipped": {}}, code or 1


def _show(reports: list[dict[str, Any]]) -> None:
    rows = [COLUMNS, *(_row(report) for report in reports)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    print()
    for row in rows:
        cells = zip(row, widths, range(len(row)), strict=True)
        print("  ".join(c.ljust(w) if i < 3 else c.rjust(w) for c, w, i in cells))
    for report in reports:
        for reason, times in report["skipped"].items():
            print(f"skipped on {report['server']} {report['profile']}: {times} times: {reason}")


def _row(report: dict[str, Any]) -> tuple[str, ...]:
    keys = ("server", "version", "profile", "assertions", "python", "failed")
    return (*(str(report.get(key, "")) for key in keys), str(sum(report["skipped"].values())))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is begun is cleaned up
    try:
        sys.exit(main())
    except (servers.NoServer, debian.CannotInstall) as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(130)
