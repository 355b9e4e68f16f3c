"""What several test files use."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest


def write(path: Path, text: str) -> Path:
    """Write a file and its folders; a lone surrogate stands for a byte that is no UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(errors="surrogateescape"))
    return path


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def schemas(url: str) -> set[str]:
    return {name for (name,) in rows(url, "select nspname from pg_namespace")}


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def run_plugin(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest without the other plugins installed here, which are slow to load."""
    return project.runpytest("-pno:hypothesispytest", "-pno:xdist", *arguments)


def run_in_two_workers(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return project.runpytest_subprocess("-n2", "-pno:hypothesispytest", *arguments)
