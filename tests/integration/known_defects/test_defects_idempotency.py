"""Requests that are sent twice, and two requests at the same moment."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from worlds import (
    ALICE,
    BOB,
    COST,
    GRANT,
    MODEL,
    Connection,
    Ours,
    Plan,
    World,
    generate,
    refused,
    value,
    wait_until_blocked,
)

pytestmark = pytest.mark.shapeless


def second_of_two(world: World, key: UUID) -> "Future[Any]":
    """Send one request twice: the second meets the first before it has committed."""
    first, second = world.as_user(ALICE), world.as_user(ALICE)
    with ThreadPoolExecutor(1) as thread, first.transaction():
        generate(first, ALICE, key)
        waiting = thread.submit(generate, second, ALICE, key)
        wait_until_blocked(world.owner, second)
    return waiting


class TestDefect2_26_LoserOfTheRaceFails:
    """Check, then insert: of two equal requests at once one gets a raw unique violation."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        with refused("23505"):
            second_of_two(plan, uuid4()).result()

    def test_refused_by_ours(self, ours: Ours) -> None:
        key = uuid4()
        replay = second_of_two(ours, key).result()
        assert replay == generate(ours.as_user(ALICE), ALICE, key)
        assert replay["replayed"]
        assert ours.credits(ALICE) == GRANT - COST
        assert ours.value("select count(*) from public.video_jobs") == 1


class TestDefect2_27_ExpiredKeyBlocks:
    """An expired key still holds its primary key until the daily clean-up."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        key = uuid4()
        alice = plan.as_user(ALICE)
        generate(alice, ALICE, key)
        plan.owner.execute("update public.idempotency_log set expires_at = now()")
        with refused("23505"):
            generate(alice, ALICE, key)

    def test_refused_by_ours(self, ours: Ours) -> None:
        key = uuid4()
        alice = ours.as_user(ALICE)
        first = generate(alice, ALICE, key)
        ours.pass_time("23 hours 59 minutes")
        assert generate(alice, ALICE, key) == first | {"replayed": True}
        ours.pass_time("24 hours 1 minute")
        second = generate(alice, ALICE, key)
        assert not second["replayed"]
        assert second["job_id"] != first["job_id"]
        assert ours.credits(ALICE) == GRANT - 2 * COST


class TestDefect2_28_AnswerVanishes:
    """The key is looked up twice; deleted in between, the answer is null and no error."""

    # The window is as wide as two statements are apart. A view that waits holds it open; it
    # changes nothing else, and the plan's function finds it because it has no search_path.
    WIDEN = """
        create schema widened;
        create view widened.idempotency_log as
        select entry.*
        from public.idempotency_log as entry, pg_advisory_xact_lock_shared(28);
        grant usage on schema widened to public;
    """

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        key = uuid4()
        alice = plan.as_user(ALICE)
        generate(alice, ALICE, key)
        plan.owner.execute(self.WIDEN)
        alice.execute("set search_path = widened, public")
        with ThreadPoolExecutor(1) as thread, plan.owner.transaction():
            plan.owner.execute("select pg_advisory_xact_lock(28)")
            waiting = thread.submit(generate, alice, ALICE, key)
            wait_until_blocked(plan.owner, alice)
            plan.owner.execute("delete from public.idempotency_log")
        assert waiting.result() is None

    def test_refused_by_ours(self, ours: Ours) -> None:
        key = uuid4()
        alice = ours.as_user(ALICE)
        first = generate(alice, ALICE, key)
        ours.pass_time("25 hours")
        with ThreadPoolExecutor(1) as thread, ours.owner.transaction():
            ours.owner.execute("delete from public.idempotency_log")
            waiting = thread.submit(generate, alice, ALICE, key)
            wait_until_blocked(ours.owner, alice)
        second = waiting.result()
        assert second["job_id"] not in (None, first["job_id"])
        assert not second["replayed"]
        assert ours.credits(ALICE) == GRANT - 2 * COST


class TestDefect2_29_OtherRequestSameKey:
    """A key that comes back with another payload silently gets the first answer."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        key = uuid4()
        alice = plan.as_user(ALICE)
        first = generate(alice, ALICE, key, "a cat")
        assert generate(alice, ALICE, key, "a dog") == first

    def test_refused_by_ours(self, ours: Ours) -> None:
        key = uuid4()
        alice = ours.as_user(ALICE)
        generate(alice, ALICE, key, "a cat")
        with refused("PT422", "idempotency_key_reused"):
            generate(alice, ALICE, key, "a dog")
        with refused("PT422", "idempotency_key_reused"):
            ours.call("add_credits", ALICE, 5, "promo_grant", key)
        assert ours.credits(ALICE) == GRANT - COST


class TestDefect2_30_NullKey:
    """A null key passes the check and dies at the end of the work, as a constraint violation."""

    CALL = "select public.generate_video_atomic(%s, %s, 'a cat', '{}', null)"

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        with refused("23502"):
            plan.as_user(ALICE).execute(self.CALL, [ALICE, MODEL])

    def test_refused_by_ours(self, ours: Ours) -> None:
        with refused("PT400", "invalid_argument"):
            ours.as_user(ALICE).execute(self.CALL, [ALICE, MODEL])
        assert ours.credits(ALICE) == GRANT


class TestDefect2_32_EverythingWaitsForTheDebit:
    """The debit locks the user so hard that no row may refer to the user meanwhile."""

    def insert_beside(self, world: World) -> None:
        """Insert a row that refers to Alice while a generation of hers is in flight."""
        world.owner.execute(
            "create table public.follows (user_id uuid references public.users (id))"
        )
        alice = world.as_user(ALICE)
        with alice.transaction():
            generate(alice, ALICE)
            world.owner.execute("set lock_timeout = '200ms'")
            world.owner.execute("insert into public.follows values (%s)", [ALICE])

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        with refused("55P03"):
            self.insert_beside(plan)

    def test_refused_by_ours(self, ours: Ours) -> None:
        self.insert_beside(ours)
        assert ours.value("select count(*) from public.follows") == 1


class TestDefect2_33_BatchesDeadlock:
    """A batch over many users locks them in any order; two batches lock each other out."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        forth, back = plan.as_service(), plan.as_service()
        with ThreadPoolExecutor(1) as thread:
            forth.execute("begin")
            back.execute("begin")
            generate(forth, ALICE)
            generate(back, BOB)
            waiting = thread.submit(generate, forth, BOB)
            wait_until_blocked(plan.owner, forth)
            outcomes = [outcome(lambda: generate(back, ALICE))]
            back.rollback()
            outcomes.append(outcome(waiting.result))
            forth.rollback()
        assert sorted(outcomes) == ["40P01", "done"]

    def test_refused_by_ours(self, ours: Ours) -> None:
        # What runs over many users here is maintenance, and it waits for nobody.
        jobs = {user: generate(ours.as_user(user), user)["job_id"] for user in (ALICE, BOB)}
        ours.pass_time("16 minutes")
        alice = ours.as_user(ALICE)
        with alice.transaction():
            generate(alice, ALICE)
            ours.owner.execute("set lock_timeout = '5s'")
            ours.owner.execute("select rendio.sweep_stuck_jobs()")
            assert self.status(ours, BOB, jobs) == "failed"
            assert self.status(ours, ALICE, jobs) == "pending"
        ours.owner.execute("select rendio.sweep_stuck_jobs()")
        assert self.status(ours, ALICE, jobs) == "failed"

    @staticmethod
    def status(ours: Ours, user: UUID, jobs: dict[UUID, str]) -> str:
        """Return how the user's first job stands."""
        return str(ours.call("get_video_status", user, jobs[user])["status"])


def outcome(action: Any) -> str:
    """Return 'done', or the SQLSTATE that the action failed with."""
    try:
        action()
    except psycopg.Error as error:
        return str(error.sqlstate)
    return "done"


class TestDefect2_34_SubtransactionForNothing:
    """An exception block that only raises again costs a transaction id a call."""

    def rows_of_a_subtransaction(self, world: World) -> list[bool]:
        """Say for each row that a generation writes whether a subtransaction wrote it."""
        alice: Connection = world.as_user(ALICE)
        with alice.transaction():
            generate(alice, ALICE)
            alice.execute("reset role")
            return [
                value(
                    alice,
                    sql.SQL("select every(xmin <> pg_current_xact_id()::xid) from {} where {} = %s")
                    .format(sql.SQL(table), sql.Identifier(column))
                    .as_string(alice),
                    ALICE,
                )
                for table, column in (
                    ("public.users", "id"),
                    ("public.video_jobs", "user_id"),
                    ("public.idempotency_log", "user_id"),
                )
            ]

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        assert self.rows_of_a_subtransaction(plan) == [True, True, True]

    def test_refused_by_ours(self, ours: Ours) -> None:
        assert self.rows_of_a_subtransaction(ours) == [False, False, False]


class TestDefect2_35_OneErrorForEverything:
    """Every error is P0001; a caller can tell them apart by English prose only."""

    def errors(self, world: World) -> list[tuple[str | None, str | None]]:
        """Provoke the three errors that a caller must tell apart."""
        service = world.as_service()
        call = "select public.generate_video_atomic(%s, %s, 'a cat', '{}', gen_random_uuid())"
        errors = []
        for price, user, model in (
            (GRANT + 1, ALICE, MODEL),
            (COST, ALICE, uuid4()),
            (COST, uuid4(), MODEL),
        ):
            world.owner.execute("update public.models set cost_per_generation = %s", [price])
            try:
                service.execute(call, [user, model])
            except psycopg.Error as error:
                errors.append((error.sqlstate, error.diag.message_primary))
        return errors

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        assert [sqlstate for sqlstate, _ in self.errors(plan)] == ["P0001", "P0001", "P0001"]

    def test_refused_by_ours(self, ours: Ours) -> None:
        assert self.errors(ours) == [
            ("PT402", "insufficient_credits"),
            ("PT404", "model_not_found"),
            ("PT404", "user_not_found"),
        ]


class TestDefect2_36_ChargeWithoutJob:
    """The ledger does not say which job a charge was for."""

    CHARGE = "select job_id from public.quota_log where reason = 'video_generation'"

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        generate(plan.as_user(ALICE), ALICE)
        assert plan.value(self.CHARGE) is None

    def test_refused_by_ours(self, ours: Ours) -> None:
        job = generate(ours.as_user(ALICE), ALICE)["job_id"]
        assert str(ours.value(self.CHARGE)) == job
        # Written by hand, it is found.
        assert ours.discrepancies() == []
        ours.owner.execute(
            "insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason)"
            " values (%s, 3, now(), 2, -4, 'video_generation')",
            [ALICE],
        )
        problems = {problem for _, problem, _, _ in ours.discrepancies()}
        assert "job_charge_differs_from_ledger" in problems
