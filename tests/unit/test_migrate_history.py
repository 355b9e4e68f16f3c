"""Pure rules of the runner: release order, passwords in errors, the fold of the ledger."""

from typing import Any

import psycopg
import pytest
from rendio.migrate.errors import NotOurs
from rendio.migrate.ledger import Changes, Fingerprint, Row, attribute, bequeath, expected
from rendio.migrate.preflight import check_server, release_key
from rendio.migrate.session import _connect_error


def test_releases_are_ordered_as_numbers() -> None:
    ordered = ["", "0.9", "0.10.0.dev3", "0.10.0", "0.10.1rc1", "0.10.1", "1.0.0b1", "1.0.0"]
    assert sorted(reversed(ordered), key=release_key) == ordered
    assert release_key("1.0") == release_key("1.0.0")


@pytest.mark.parametrize("part", ["s3@cret", "s3/cret", "s3:cret", "s3#cret", "s3?cret"])
def test_no_part_of_a_password_is_shown(part: str) -> None:
    """libpq takes what follows such a sign for a host or a port, and names it."""
    error = psycopg.OperationalError('invalid port number: "s3"\nhost name "cret@db"')
    message = _connect_error(f"postgresql://joe:{part}@db/x", error)
    assert "s3" not in message
    assert "cret" not in message
    assert "%40" in message


def test_a_password_that_the_server_repeats_is_blotted_out() -> None:
    error = psycopg.OperationalError("FATAL: no luck\nwith s3cret")
    message = _connect_error("postgresql://joe:s3cret@db/x", error)
    assert message == "Cannot connect: FATAL: no luck with ***"


class FakeServer:
    """Answers every question with what its settings say; enough for the first checks."""

    def __init__(self, **answers: object) -> None:
        self.answers = answers

    def execute(self, query: str, _: object = None) -> "FakeServer":
        self.query = query
        return self

    def fetchone(self) -> tuple[object]:
        return (next(answer for key, answer in self.answers.items() if key in self.query),)


@pytest.mark.parametrize(
    ("version", "accepted"), [("140012", False), ("150000", True), ("190001", True)]
)
def test_servers_older_than_15_are_refused(version: str, accepted: bool) -> None:
    server: Any = FakeServer(
        server_version_num=version,
        pg_is_in_recovery=False,
        default_transaction_read_only="off",
        nspname=None,  # no schema cron
    )
    if accepted:
        check_server(server)
        return
    with pytest.raises(NotOurs, match=r"PostgreSQL 14 is not supported") as caught:
        check_server(server)
    assert caught.value.exit_code == 7


def _rows(**fingerprints: Fingerprint) -> dict[str, Row]:
    return {path: Row(path, "", "applied", [path], kept) for path, kept in fingerprints.items()}


def test_each_aspect_is_kept_by_the_file_that_wrote_it_last() -> None:
    rows = _rows(a={"t": {"x": "1", "y": "1"}}, b={"t": {"z": "1"}})
    changed: Changes = {"t": {"x": "2", "y": None}, "u": {"x": "1"}}
    assert attribute(rows, "b", changed) == {
        "a": {},
        "b": {"t": {"z": "1", "x": "2"}, "u": {"x": "1"}},
    }
    assert attribute(rows, "c", {}) == {"c": {}}
    assert expected(rows) == {"t": {"x": "1", "y": "1", "z": "1"}}


def test_what_a_vanished_file_keeps_goes_to_the_one_that_defines_it_now() -> None:
    rows = _rows(a={}, moved={"moved": {"x": "1"}, "t": {"y": "1"}}, z={"moved": {"w": "1"}})
    rows["z"].defines.append("moved")
    heirs = bequeath(rows, ("moved",))
    assert heirs == {"z": {"moved": {"w": "1", "x": "1"}}, "a": {"t": {"y": "1"}}}
