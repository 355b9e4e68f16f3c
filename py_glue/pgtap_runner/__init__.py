"""Run pgTAP tests from pytest, from the command line or from Python, without psql and Perl."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core import Result, run, run_file

__all__ = ["Result", "run", "run_file"]


def __getattr__(name: str) -> Any:
    # pytest loads the plugin wherever this is installed; only who runs tests needs psycopg.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import core

    return getattr(core, name)
