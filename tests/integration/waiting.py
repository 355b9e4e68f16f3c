"""Waiting for what another process does."""

import time
from collections.abc import Callable
from typing import Any


def until(what: Callable[[], Any], seconds: float = 30) -> Any:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        time.sleep(0.05)
    return found
