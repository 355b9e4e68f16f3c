"""Connections to the database under test."""

import os
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

CONNECT_TIMEOUT = 10  # seconds, where neither the URL nor PGCONNECT_TIMEOUT says

Connection = psycopg.Connection[tuple[Any, ...]]


def connect(conninfo: str, *, schema: str | None = None, password: str | None = None) -> Connection:
    """Connect in autocommit, like psql, with pgTAP's schema last on the search path if named."""
    given: dict[str, Any] = {"password": password} if password else {}
    said = conninfo_to_dict(conninfo).get("connect_timeout") or os.environ.get("PGCONNECT_TIMEOUT")
    if not said:
        given["connect_timeout"] = CONNECT_TIMEOUT
    connection = psycopg.connect(
        conninfo,
        **given,
        autocommit=True,
        prepare_threshold=None,
        client_encoding="utf8",
        fallback_application_name="pgtap_runner",
    )
    if schema is not None:
        connection.execute(
            "select pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ',"
            " nullif(pg_catalog.current_setting('search_path'), ''),"
            " pg_catalog.quote_ident(%s)), false)",
            [schema],
        )
    return connection
