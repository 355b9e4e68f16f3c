"""Where credits come from nowhere, vanish, or are counted twice."""

from uuid import UUID, uuid4

import pytest
from worlds import ALICE, BOB, COST, GRANT, Ours, Plan, call, generate, refused, value

pytestmark = pytest.mark.shapeless


def start(ours: Ours, job: UUID | str, provider_job_id: str = "fal-1", user: UUID = ALICE) -> None:
    """Record that the provider accepted a job."""
    ours.call("start_video_job", user, job, provider_job_id)


class TestDefect2_8_NegativePrice:
    """No check on the price: a generation for -50 credits mints 50."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        plan.owner.execute("update public.models set cost_per_generation = -50")
        generate(plan.as_user(ALICE), ALICE)
        assert plan.credits(ALICE) == GRANT + 50

    def test_refused_by_ours(self, ours: Ours) -> None:
        for price in (-50, 0):
            with refused("23514"):
                ours.owner.execute("update public.models set cost_per_generation = %s", [price])
        with refused("23514"):
            ours.owner.execute("update public.iap_products set credits = -1")
        with refused("PT400", "invalid_argument"):
            ours.call("add_credits", ALICE, -1, "promo_grant", uuid4())


class TestDefect2_9_RetiredModel:
    """is_available hides a model from the list and from nothing else."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        plan.owner.execute("update public.models set is_available = false")
        generate(plan.as_user(ALICE), ALICE)
        assert plan.credits(ALICE) == GRANT - COST

    def test_refused_by_ours(self, ours: Ours) -> None:
        ours.owner.execute("update public.models set is_available = false")
        with refused("PT404", "model_not_found"):
            generate(ours.as_user(ALICE), ALICE)
        assert ours.credits(ALICE) == GRANT


class TestDefect2_10_BalanceWithoutBounds:
    """The balance may be null, which reads as an unknown user, and may be negative."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        plan.owner.execute("update public.users set credits_remaining = -5 where id = %s", [BOB])
        plan.owner.execute(
            "update public.users set credits_remaining = null where id = %s", [ALICE]
        )
        with refused("P0001", "User not found"):
            generate(plan.as_user(ALICE), ALICE)

    def test_refused_by_ours(self, ours: Ours) -> None:
        with refused("23514"):
            ours.owner.execute("update public.users set credits_remaining = -5")
        with refused("23502"):
            ours.owner.execute("update public.users set credits_remaining = null")
        with refused("PT402", "insufficient_credits"):
            ours.call("add_credits", ALICE, -GRANT - 1, "admin_adjustment", uuid4())
        # More than an integer holds.
        ours.owner.execute("update public.users set credits_remaining = 3000000000")
        assert ours.call("get_user_credits", ALICE)["credits_remaining"] == 3_000_000_000


class TestDefect2_11_RefundTwice:
    """Nothing ties one refund to one charge."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        job = generate(plan.as_user(ALICE), ALICE)["job_id"]
        service = plan.as_service()
        for balance in (GRANT, GRANT + COST):
            service.execute(
                "insert into public.quota_log (user_id, job_id, change, reason, balance_after)"
                " values (%s, %s, %s, 'generation_failed_refund', %s)",
                [ALICE, job, COST, balance],
            )
        assert plan.reasons(ALICE).count("generation_failed_refund") == 2

    def test_refused_by_ours(self, ours: Ours) -> None:
        job = generate(ours.as_user(ALICE), ALICE)["job_id"]
        start(ours, job)
        failed = ours.call("fail_video_job", "fal", "fal-1", "out of memory")
        assert (failed["credits_refunded"], failed["replayed"]) == (COST, False)
        assert ours.call("fail_video_job", "fal", "fal-1", "out of memory")["replayed"]
        again = ours.call("refund_video_job", ALICE, job)
        assert (again["credits_refunded"], again["replayed"]) == (COST, True)
        assert ours.credits(ALICE) == GRANT
        assert ours.reasons(ALICE).count("generation_failed_refund") == 1
        # By hand neither: the ledger is nobody's to write.
        with refused("42501"):
            ours.service.execute("insert into public.quota_log (user_id) values (%s)", [ALICE])
        assert ours.discrepancies() == []


class TestDefect2_12_ProviderNeverAnswers:
    """When the call to the provider fails, the credits are gone and the job is pending for ever."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        generate(plan.as_user(ALICE), ALICE)
        plan.owner.execute("update public.video_jobs set created_at = now() - interval '2 days'")
        for (command,) in plan.owner.execute("select command from cron.job").fetchall():
            plan.owner.execute(command)
        assert plan.value("select status from public.video_jobs") == "pending"
        assert plan.credits(ALICE) == GRANT - COST

    def test_refused_by_ours(self, ours: Ours) -> None:
        never_started = generate(ours.as_user(ALICE), ALICE)["job_id"]
        never_finished = generate(ours.as_user(ALICE), ALICE)["job_id"]
        start(ours, never_finished)
        ours.pass_time("31 minutes")
        ours.owner.execute("select rendio.sweep_stuck_jobs()")
        for job in (never_started, never_finished):
            status = ours.call("get_video_status", ALICE, job)
            assert (status["status"], status["error_code"]) == ("failed", "timed_out")
        assert ours.credits(ALICE) == GRANT
        assert ours.discrepancies() == []


class TestDefect2_15_AnyStateFromAnyState:
    """A completed job can be made to fail, and be refunded."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        generate(plan.as_user(ALICE), ALICE)
        service = plan.as_service()
        for status in ("completed", "failed", "pending"):
            service.execute("update public.video_jobs set status = %s", [status])
        assert plan.value("select status from public.video_jobs") == "pending"

    def test_refused_by_ours(self, ours: Ours) -> None:
        job = generate(ours.as_user(ALICE), ALICE)["job_id"]
        start(ours, job)
        ours.call("complete_video_job", "fal", "fal-1", "https://cdn/1.mp4")

        late = ours.call("fail_video_job", "fal", "fal-1", "out of memory")
        assert (late["status"], late["credits_refunded"], late["replayed"]) == (
            "completed",
            0,
            True,
        )
        with refused("PT409", "job_not_refundable"):
            ours.call("refund_video_job", ALICE, job)
        with refused("PT409", "invalid_transition"):
            ours.call("cancel_video_job", ALICE, job)
        with refused("42501"):
            ours.service.execute("update public.video_jobs set status = 'failed'")
        assert ours.credits(ALICE) == GRANT - COST


class TestDefect2_16_ProviderIdOfTwoJobs:
    """provider_job_id is not unique: one webhook ends two jobs, or the wrong one."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        for user in (ALICE, BOB):
            generate(plan.as_user(user), user)
        plan.as_service().execute("update public.video_jobs set provider_job_id = 'fal-1'")
        shared = "select count(*) from public.video_jobs where provider_job_id = 'fal-1'"
        assert plan.value(shared) == 2

    def test_refused_by_ours(self, ours: Ours) -> None:
        alices = generate(ours.as_user(ALICE), ALICE)["job_id"]
        bobs = generate(ours.as_user(BOB), BOB)["job_id"]
        start(ours, alices)
        with refused("PT409", "invalid_transition"):
            start(ours, bobs, user=BOB)
        ours.call("complete_video_job", "fal", "fal-1", "https://cdn/1.mp4")
        assert ours.call("get_video_status", BOB, bobs)["status"] == "pending"


class TestDefect2_17_TransactionOfAnotherStore:
    """A transaction id is unique over stores and environments and belongs to nobody."""

    PURCHASE = (
        "insert into public.quota_log (user_id, change, reason, transaction_id)"
        " values (%s, 20, 'iap_purchase', '2000000001')"
    )

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        service = plan.as_service()
        # Bob reports, from the sandbox, the id that Alice will pay for.
        service.execute(self.PURCHASE, [BOB])
        with refused("23505"):
            service.execute(self.PURCHASE, [ALICE])

    def test_refused_by_ours(self, ours: Ours) -> None:
        def buy(user: UUID, environment: str, store: str = "app_store") -> dict[str, object]:
            return dict(
                ours.call(
                    "record_iap_purchase", user, store, environment, "2000000001", "credits_20"
                )
            )

        buy(BOB, "Sandbox")
        assert buy(ALICE, "Production") == {
            "credits_added": 20,
            "credits_remaining": GRANT + 20,
            "replayed": False,
        }
        assert buy(ALICE, "Production")["replayed"]
        with refused("PT409", "purchase_belongs_to_another_user"):
            buy(BOB, "Production")
        assert buy(BOB, "Production", store="google_play")["credits_added"] == 20
        marks = ours.owner.execute(
            "select is_sandbox from public.quota_log where user_id = %s"
            " and reason = 'iap_purchase' order by seq",
            [BOB],
        ).fetchall()
        assert marks == [(True,), (False,)]


class TestDefect2_18_UniqueBreaksWithPartitions:
    """The plans' unique transaction_id and primary key are impossible on a partitioned ledger."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        with refused("0A000"):
            plan.owner.execute(
                "create table public.quota_log_by_month (like public.quota_log including all)"
                " partition by range (created_at)"
            )

    def test_refused_by_ours(self, ours: Ours) -> None:
        partitioned = "select relkind = 'p' from pg_class where oid = 'public.quota_log'::regclass"
        assert ours.value(partitioned)
        bought = ("app_store", "Production", "2000000001", "credits_20")
        ours.call("record_iap_purchase", ALICE, *bought)
        ours.pass_time("40 days")
        assert ours.call("record_iap_purchase", ALICE, *bought)["replayed"]
        with refused("PT409", "purchase_belongs_to_another_user"):
            ours.call("record_iap_purchase", BOB, *bought)
        assert ours.reasons(ALICE) == ["initial_grant", "iap_purchase"]


class TestDefect2_19_DuplicateAcrossTheBoundary:
    """A key that is unique per partition only is accepted again after midnight."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        plan.owner.execute(
            "create table public.events (dedupe_key text, created_at timestamptz,"
            " unique (dedupe_key, created_at)) partition by range (created_at);"
            " create table public.events_01 partition of public.events"
            " for values from ('2026-01-01 00:00Z') to ('2026-02-01 00:00Z');"
            " create table public.events_02 partition of public.events"
            " for values from ('2026-02-01 00:00Z') to ('2026-03-01 00:00Z')"
        )
        for moment in ("2026-01-31 23:59:59Z", "2026-02-01 00:00:01Z"):
            plan.owner.execute("insert into public.events values ('the same', %s)", [moment])
        assert plan.value("select count(*) from public.events") == 2

    def test_refused_by_ours(self, ours: Ours) -> None:
        key = uuid4()
        alice = ours.as_user(ALICE)
        next_month = "date_trunc('month', now() at time zone 'UTC') + interval '1 month'"
        ours.set_clock(f"({next_month}) at time zone 'UTC' - interval '1 second'")
        first = generate(alice, ALICE, key)
        ours.set_clock(f"({next_month}) at time zone 'UTC' + interval '1 second'")
        second = generate(alice, ALICE, key)
        assert second == first | {"replayed": True}
        assert ours.credits(ALICE) == GRANT - COST
        # The boundary is real: the next entry goes to another partition.
        generate(alice, ALICE)
        partitions = "select count(distinct tableoid) from public.quota_log where change < 0"
        assert ours.value(partitions) == 2


class TestDefect2_20_DeletedWithTheUser:
    """Deleting a user deletes the ledger: the proof of what was bought and spent."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        generate(plan.as_user(ALICE), ALICE)
        plan.as_service().execute("delete from public.users where id = %s", [ALICE])
        assert plan.reasons(ALICE) == []

    def test_refused_by_ours(self, ours: Ours) -> None:
        generate(ours.as_user(ALICE), ALICE)
        with refused("42501"):
            ours.service.execute("delete from public.users where id = %s", [ALICE])
        with refused("23001" if ours.owner.info.server_version >= 180000 else "23503"):
            ours.owner.execute("delete from public.users where id = %s", [ALICE])

        ours.owner.execute("set role rendio_owner")
        partition = ours.value(
            "select tableoid::regclass::text from public.quota_log where user_id = %s limit 1",
            ALICE,
        )
        for table in ("public.quota_log", partition, "rendio.quota_log_default"):
            for attack in (f"delete from {table}", f"update {table} set change = 1"):
                with refused("42501"):
                    ours.owner.execute(attack)
            with refused("42501"):
                ours.owner.execute(f"truncate {table}")
        assert ours.reasons(ALICE) == ["initial_grant", "video_generation"]


class TestDefect2_23_AppleAloneIsNobody:
    """A user who is known by Apple's id alone violates users_identity_check."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        with refused("23514"):
            plan.owner.execute("insert into public.users (apple_sub) values ('001234.abcd')")

    def test_refused_by_ours(self, ours: Ours) -> None:
        newcomer = uuid4()
        ours.owner.execute("insert into public.users (id, is_guest) values (%s, false)", [newcomer])
        ours.owner.execute(
            "insert into public.account_identities (kind, identifier, user_id)"
            " values ('apple', '001234.abcd', %s)",
            [newcomer],
        )
        credits = call(ours.as_user(newcomer), "get_user_credits", newcomer)
        assert credits == {
            "credits_remaining": 0,
            "credits_total": 0,
            "tier": "free",
            "is_guest": False,
            "credits_owed": 0,
            "is_blocked": False,
        }
        # The user's id is the one that the auth service gave, and nobody else can take it.
        with refused("23505"):
            ours.owner.execute("insert into public.users (id) values (%s)", [newcomer])
        assert value(ours.as_user(newcomer), "select count(*) from public.users") == 1
