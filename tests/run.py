"""``make test``: install what is missing, run the tests on each server, show what was tested.

Arguments go to pytest, on the first server alone: ``make test T=tests/pgtap/credits``.
RENDIO_TEST_URL or RENDIO_TEST_SERVER names the one server to test on (see servers.py);
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
COLUMNS = ("server", "version", "SQL assertions", "Python tests", "failed", "skipped")


def main() -> int:
    narrowed = sys.argv[1:]
    chosen = os.environ.get("RENDIO_TEST_URL") or os.environ.get("RENDIO_TEST_SERVER")
    kinds = [servers.chosen_kind()] if chosen else list(PRIVATE)
    if narrowed:
        kinds = kinds[:1]
    if "debian" in kinds:
        installed = _installed_major()
        if not (narrowed and installed):
            debian.ensure_installed(installed)
    reports = [_run(kind, narrowed, first=kind == kinds[0]) for kind in kinds]
    _show([report for report, _ in reports])
    return max(code for _, code in reports)


def _installed_major() -> int | None:
    try:
        return int(embedded.server_version(servers.bin_dir_of("debian")).split(".")[0])
    except servers.NoServer:
        return None


def _run(kind: str, narrowed: list[str], first: bool) -> tuple[dict[str, Any], int]:
    """Run the tests on one server; return what conftest.py reports, and pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        environment = os.environ | {"RENDIO_TEST_REPORT": str(path)}
        if kind != "url":
            environment["RENDIO_TEST_SERVER"] = kind
        scope = narrowed or ["-n", "2", "--dist", "worksteal", str(TESTS)]
        if not first:
            scope += ["-m", "not once", f"--ignore={TESTS / 'unit'}"]
        print(f"\n== {kind}", flush=True)
        command = [sys.executable, "-m", "pytest", "--quiet", *scope]
        code = subprocess.run(command, env=environment).returncode
        if path.exists():
            return json.loads(path.read_text()), code
    return {"server": kind, "version": "did not run to its end", "skipped": {}}, code or 1


def _show(reports: list[dict[str, Any]]) -> None:
    rows = [COLUMNS, *(_row(report) for report in reports)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    print()
    for row in rows:
        cells = zip(row, widths, range(len(row)), strict=True)
        print("  ".join(c.ljust(w) if i < 2 else c.rjust(w) for c, w, i in cells))
    for report in reports:
        for reason, times in report["skipped"].items():
            print(f"skipped on {report['server']}: {times} times: {reason}")


def _row(report: dict[str, Any]) -> tuple[str, ...]:
    keys = ("server", "version", "assertions", "python", "failed")
    return (*(str(report.get(key, "")) for key in keys), str(sum(report["skipped"].values())))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is begun is cleaned up
    try:
        sys.exit(main())
    except (servers.NoServer, debian.CannotInstall) as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(130)
