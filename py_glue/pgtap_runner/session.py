"""Connections to the database under test."""

import os
from typing import Any
from urllib.parse import quote

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


def as_url(conninfo: str, **changes: str) -> str:
    """Return a connection string as a URL, which is what most tools take, with some parts changed.

    A socket's folder goes into the query: few but libpq read it in the host's place.
    """
    found = conninfo_to_dict(conninfo, **changes)
    parts = {key: quote(str(value), safe="") for key, value in found.items() if value is not None}
    login = parts.pop("user", "")
    if password := parts.pop("password", ""):
        login += f":{password}"
    host, database = str(found.get("host") or ""), parts.pop("dbname", "")
    place = ""
    if host and not host.startswith(("/", "@")) and "," not in host:
        del parts["host"]
        place = f"[{host}]" if ":" in host else host
        if port := parts.pop("port", ""):
            place += f":{port}"
    query = "&".join(f"{key}={value}" for key, value in parts.items())
    return f"postgresql://{login}{'@' * bool(login)}{place}/{database}{'?' * bool(query)}{query}"
