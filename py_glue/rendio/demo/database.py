"""The demo's database: made anew for each run, in the embedded server and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from rendio.demo import DemoError
from rendio.embedded import Server

LOCK = 7163052914


@contextmanager
def alone(server: Server) -> Iterator[psycopg.Connection[Any]]:
    """Be the only demo on this server; gives a connection to its maintenance database."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        (free,) = admin.execute("select pg_try_advisory_lock(%s)", [LOCK]).fetchone() or (False,)
        if not free:
            raise DemoError("Another demo is running on the embedded server: wait until it ends.")
        yield admin


def start_over(server: Server, admin: psycopg.Connection[Any]) -> None:
    """Make the database anew, but not over accounts that no demo made."""
    if has_table(server.url(), "public.users") and not has_table(server.url(), "demo.calls"):
        with psycopg.connect(server.url()) as conn:
            if conn.execute("select from public.users limit 1").rowcount:
                raise DemoError(
                    "The embedded database holds accounts that no demo made, and a demo starts "
                    "over.\nIf nobody needs them:  rendio embedded remove"
                )
    admin.execute("drop database if exists rendio with (force)")
    admin.execute("create database rendio")


def has_table(url: str, name: str) -> bool:
    with psycopg.connect(url) as conn:
        (found,) = conn.execute("select to_regclass(%s) is not null", [name]).fetchone() or (False,)
    return bool(found)


def as_service(url: str) -> str:
    """The same database for the app's backend, with the rights of service_role alone."""
    return make_conninfo(url, options="-c role=service_role", application_name="rendio demo")
