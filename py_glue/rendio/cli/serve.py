"""``rendio serve``: the calls over HTTP."""

from typing import TYPE_CHECKING

import click
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from rendio.cli.common import Exit, Failure, database_options, need_edge, resolve_url

if TYPE_CHECKING:
    from rendio.edge.settings import Settings


@click.command()
@database_options
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--check", "check_only", is_flag=True, help="Say what is missing; exit 0 or 1.")
@click.option(
    "--insecure-dev",
    is_flag=True,
    help="Take devices and purchases without proof, and Supabase's public local JWT secret when "
    "none is set. On a loopback address only.",
)
def serve(
    url: str | None, embedded: bool, host: str, port: int, check_only: bool, insecure_dev: bool
) -> None:
    """Serve the calls over HTTP: /rest/v1/rpc/ as PostgREST does, /functions/v1/ as the plans do.

    For development, tests and small deployments; with PostgREST or Supabase nobody needs it.
    The environment has the keys and limits: see .env.example. The database's login must be able to
    become anon, authenticated and service_role (the embedded one is): grant them to it.
    """
    settings = _settings(url, embedded, host, insecure_dev)
    if check_only:
        _check(settings)
        return
    from rendio.edge.server import serve

    serve(settings, host, port)


def _settings(url: str | None, embedded: bool, host: str, insecure_dev: bool) -> "Settings":
    need_edge()
    from rendio.edge.settings import Settings, SettingsError, is_loopback

    if insecure_dev and not is_loopback(host):
        raise click.UsageError(
            "--insecure-dev listens on a loopback address only: --host 127.0.0.1"
        )
    if url and _has_password(url):
        raise click.UsageError(
            "A password in --url shows in the list of processes: set DATABASE_URL instead."
        )
    database_url = resolve_url(url, embedded)
    try:
        return Settings.from_environment(database_url, insecure_dev=insecure_dev)
    except SettingsError as error:
        raise Failure(f"The environment is not complete (see .env.example):\n{error}") from error


def _has_password(url: str) -> bool:
    try:
        return bool(conninfo_to_dict(url).get("password"))
    except ProgrammingError as error:
        raise click.UsageError("--url is no connection URL.") from error


def _check(settings: "Settings") -> None:
    from rendio.edge.checks import check

    findings = check(settings)
    for finding in findings:
        mark = {True: "ok", False: "missing", None: "off"}[finding.ok]
        remedy = "" if finding.ok else finding.remedy
        click.echo(f"{mark:9}{finding.what}{remedy and f': {remedy}'}")
    if any(finding.ok is False for finding in findings):
        raise click.exceptions.Exit(Exit.FAILED)
