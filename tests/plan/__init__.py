"""The plans' own schema, loaded so that attacks can be seen to succeed on it."""

from pathlib import Path

import profiles
import psycopg

HERE = Path(__file__).parent


def load(conn: psycopg.Connection, *, record_cron: bool = False) -> None:
    """Load the plan into an empty database, after the little of Supabase that it stands on.

    With ``record_cron`` what it schedules is written to a stand-in ``cron.job`` and never run.
    """
    profiles.run_files(conn, ("api_roles.sql", "auth.sql", "realtime.sql"))
    if record_cron:
        conn.execute((HERE / "cron_recorder.sql").read_text())
    conn.execute((HERE / "option_b.sql").read_text())
