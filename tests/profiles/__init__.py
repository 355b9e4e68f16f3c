"""The shapes of database that rendio must live in, built on a private cluster.

``plain`` is a server of one's own, ``supabase`` and ``supabase_open`` a Supabase project without
and with the default privileges that open every new object to the API roles, ``rds`` a managed
server without superuser whose pg_cron lives in another database. ``RENDIO_TEST_PROFILE`` runs the
whole suite on one of them.

A profile needs a cluster whose superuser has the profile's name for it (``initdb -U``), because
the role called ``postgres`` is the superuser in one shape and an ordinary role in another.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Profile:
    """One shape: who is superuser, who migrates, and which files of this folder build it."""

    name: str
    superuser: str
    login: str
    cluster_files: tuple[str, ...] = ()
    database_files: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    cron_role: str | None = None

    def url(self, superuser_url: str, dbname: str) -> str:
        """Return how the migrating role logs in to a database of the same server."""
        return make_conninfo(superuser_url, dbname=dbname, user=self.login)

    def prepare_cluster(self, superuser_url: str) -> None:
        """Create the shape's roles; roles that exist are left as they are."""
        with psycopg.connect(superuser_url, autocommit=True) as conn:
            run_files(conn, self.cluster_files)
            self._install_cron(conn)

    def create_database(self, superuser_url: str, dbname: str) -> str:
        """Create a database of this shape and return the URL of the role that migrates it."""
        with psycopg.connect(superuser_url, autocommit=True) as conn:
            conn.execute(
                sql.SQL("create database {} owner {} template template0").format(
                    sql.Identifier(dbname), sql.Identifier(self.login)
                )
            )
        with psycopg.connect(make_conninfo(superuser_url, dbname=dbname), autocommit=True) as conn:
            run_files(conn, self.database_files)
            self._install_cron(conn)
        return self.url(superuser_url, dbname)

    def let_login_set_role(self, superuser_url: str) -> None:
        """Let the migrating role become any API role, which tests do to be a client.

        rendio itself needs only service_role, and gets it by itself. The migrating role does all
        of it, as it may: it makes the roles that the shape lacks, as an apply would.
        """
        if self.login == self.superuser:
            return
        with psycopg.connect(superuser_url, user=self.login, autocommit=True) as conn:
            for role in ("anon", "authenticated", "service_role"):
                if not conn.execute("select 1 from pg_roles where rolname = %s", [role]).rowcount:
                    conn.execute(f"create role {role} nologin noinherit")
                conn.execute(
                    sql.SQL("grant {} to {}").format(
                        sql.Identifier(role), sql.Identifier(self.login)
                    )
                )

    def _install_cron(self, conn: psycopg.Connection) -> None:
        """Create pg_cron as a managed service does it, in the database that it is loaded for."""
        loaded = "pg_cron" in (current_setting(conn, "shared_preload_libraries") or "")
        here = current_setting(conn, "cron.database_name") == conn.info.dbname
        if not (self.cron_role and loaded and here):
            return
        conn.execute("create extension if not exists pg_cron")
        conn.execute("select set_config('profiles.cron_role', %s, false)", [self.cron_role])
        run_files(conn, ["cron_grants.sql"])


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("plain", superuser="postgres", login="postgres"),
        Profile(
            "supabase",
            superuser="supabase_admin",
            login="postgres",
            cluster_files=("api_roles.sql", "supabase_roles.sql"),
            database_files=(
                "auth.sql",
                "realtime.sql",
                "broadcast.sql",
                "storage.sql",
                "supabase.sql",
            ),
            cron_role="postgres",
        ),
        Profile(
            "supabase_open",
            superuser="supabase_admin",
            login="postgres",
            cluster_files=("api_roles.sql", "supabase_roles.sql"),
            database_files=(
                "auth.sql",
                "realtime.sql",
                "broadcast.sql",
                "storage.sql",
                "supabase.sql",
                "supabase_open.sql",
            ),
            cron_role="postgres",
        ),
        Profile(
            "rds",
            superuser="rdsadmin",
            login="app_admin",
            cluster_files=("rds_roles.sql",),
            settings={"cron.database_name": "postgres"},
            cron_role="rds_superuser",
        ),
    )
}


def from_environment() -> Profile:
    """Return the profile that ``RENDIO_TEST_PROFILE`` names, ``plain`` when it names none."""
    name = os.environ.get("RENDIO_TEST_PROFILE") or "plain"
    if name not in PROFILES:
        raise ValueError(
            f"RENDIO_TEST_PROFILE={name}: no such profile; one of {', '.join(PROFILES)}"
        )
    return PROFILES[name]


def run_files(conn: psycopg.Connection, names: Iterable[str]) -> None:
    """Run SQL files of this folder, each as one batch."""
    for name in names:
        conn.execute((HERE / name).read_text())


def current_setting(conn: psycopg.Connection, name: str) -> str | None:
    """Return a setting, or None where the server doesn't know it."""
    row = conn.execute("select current_setting(%s, true)", [name]).fetchone()
    return row[0] if row else None
