"""What a role can do past the functions of the API: nothing more than they let it."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql

Conn = psycopg.Connection[Any]
INSERT = (
    "insert into cron_compat.own_job (schedule, command, nodename, nodeport, database, username)"
    " values ('@daily', 'select 1', 'localhost', 1, {database}, {username})"
)
HERE, SELF = "current_database()", "current_user"


@pytest.fixture
def become(conn: Conn, role: Callable[..., str]) -> Any:
    """Become a role, which may use the schema cron or not."""
    conn.rollback()  # roles go before the connection does

    def set_role(usage: bool) -> str:
        name = role()
        if usage:
            conn.execute(sql.SQL("grant usage on schema cron to {}").format(sql.Identifier(name)))
        conn.execute(sql.SQL("set local role {}").format(sql.Identifier(name)))
        return name

    yield set_role
    conn.rollback()


def test_without_usage_no_job_is_made_seen_or_removed(conn: Conn, become: Any) -> None:
    conn.execute("select cron.schedule('theirs', '@daily', 'select 1')")
    become(usage=False)
    with pytest.raises(psycopg.errors.WithCheckOptionViolation), conn.transaction():
        conn.execute(INSERT.format(database=HERE, username=SELF).encode())
    for view in ("own_job", "removable_job"):
        assert conn.execute(f"select from cron_compat.{view}".encode()).rowcount == 0
    assert conn.execute("delete from cron_compat.removable_job").rowcount == 0


@pytest.mark.parametrize(
    ("database", "username"), [(HERE, "'postgres'"), ("'postgres'", SELF), ("'nowhere'", SELF)]
)
def test_no_job_for_others_or_elsewhere(
    conn: Conn, become: Any, database: str, username: str
) -> None:
    become(usage=True)
    conn.execute(INSERT.format(database=HERE, username=SELF).encode())
    with pytest.raises(psycopg.errors.WithCheckOptionViolation), conn.transaction():
        conn.execute(INSERT.format(database=database, username=username).encode())
    with pytest.raises(psycopg.errors.WithCheckOptionViolation), conn.transaction():
        conn.execute(
            f"update cron_compat.own_job set database = {database}, username = {username}".encode()
        )


def test_the_number_of_a_job_is_not_to_be_chosen(conn: Conn, become: Any) -> None:
    become(usage=True)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
        conn.execute("insert into cron_compat.own_job (jobid, schedule) values (7, '@daily')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
        conn.execute("select nextval('cron.jobid_seq')")


def test_the_runners_tables_are_its_owners(conn: Conn, become: Any) -> None:
    become(usage=True)
    for table in ("task", "settings", "job_status"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
            conn.execute(f"select from cron_compat.{table}".encode())
