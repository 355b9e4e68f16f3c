"""What every verb shares: which database, how failures end, exit codes."""

import os
from collections.abc import Callable
from enum import IntEnum
from importlib import import_module
from typing import Any

import click


class Exit(IntEnum):
    """Exit codes of the command line; part of the public contract."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PENDING = 3
    DRIFT = 4
    LOCKED = 5
    EDITED = 6
    FOREIGN = 7


class Failure(click.ClickException):
    """A failure that a user can cause: what happened, where, and the next command to run."""

    exit_code: int  # type: ignore[misc]  # click types it per class; ours differs per failure

    def __init__(self, message: str, exit_code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def database_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--url`` and ``--embedded``; resolve them with :func:`resolve_url`."""
    command = click.option(
        "--embedded", is_flag=True, help="Use the embedded database, started when needed."
    )(command)
    return click.option("--url", metavar="URL", help="Connection URL; DATABASE_URL when left out.")(
        command
    )


def resolve_url(url: str | None, embedded: bool) -> str:
    """Return the database to work on: ``--url``, else ``DATABASE_URL``, else ``--embedded``."""
    if url and embedded:
        raise click.UsageError("--url and --embedded exclude each other.")
    if url:
        return url
    if embedded:
        from rendio.embedded import EmbeddedError, default_server

        try:
            return default_server().ensure_started().url()
        except EmbeddedError as error:
            raise Failure(str(error)) from error
    if from_environment := os.environ.get("DATABASE_URL"):
        return from_environment
    raise click.UsageError(
        "No database given: pass --url URL, set DATABASE_URL, or use --embedded."
    )


def need_edge() -> None:
    """Fail unless everything is there that serving over HTTP needs."""
    try:
        import_module("rendio.edge.server")
    except ImportError as error:
        raise Failure("This needs more libraries: pip install 'rendio[edge]'") from error
