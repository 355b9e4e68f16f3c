"""Credits that were bought: whose they are, what is left of them, and how often they come."""

from uuid import UUID, uuid4

import pytest
from worlds import ALICE, BOB, COST, GRANT, Ours, Plan, generate, refused

pytestmark = pytest.mark.shapeless

RECEIPT = ("app_store", "Production", "2000000001")
BOUGHT = 20


def change(plan: Plan, user: UUID, amount: int, reason: str, receipt: str | None = None) -> None:
    """Change a balance as the plan does in all its parts: the user's row, then the log."""
    plan.owner.execute(
        "with changed as ("
        " update public.users set credits_remaining = credits_remaining + %(amount)s"
        " where id = %(user)s returning credits_remaining"
        ") insert into public.quota_log (user_id, change, reason, balance_after, transaction_id)"
        " select %(user)s, %(amount)s, %(reason)s, credits_remaining, %(receipt)s from changed",
        {"amount": amount, "user": user, "reason": reason, "receipt": receipt},
    )


class TestDefect2_17_ReceiptOfSomebodyElse:
    """A receipt belongs to nobody until somebody claims it, and then to whoever was first."""

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        change(plan, BOB, BOUGHT, "iap_purchase", RECEIPT[2])
        with refused("23505"):
            change(plan, ALICE, BOUGHT, "iap_purchase", RECEIPT[2])
        assert (plan.credits(ALICE), plan.credits(BOB)) == (GRANT, GRANT + BOUGHT)

    def test_refused_by_ours(self, ours: Ours) -> None:
        # The store signed for whom it was bought.
        signed = (*RECEIPT, "credits_20", "2026-01-01", ALICE)
        with refused("PT409", "purchase_belongs_to_another_user"):
            ours.call("record_iap_purchase", BOB, *signed)
        assert ours.call("record_iap_purchase", ALICE, *signed)["credits_added"] == BOUGHT
        assert (ours.credits(ALICE), ours.credits(BOB)) == (GRANT + BOUGHT, GRANT)

    def test_what_the_store_told_first_is_its_buyers(self, ours: Ours) -> None:
        """Whoever reports it afterwards, also without saying for whom it was signed."""
        told = {"productId": "credits_20", "appAccountToken": str(ALICE)}
        notice = ("app_store", "Production", "n1", "ONE_TIME_CHARGE", RECEIPT[2], told)
        assert ours.call("apply_store_notification", *notice)["action"] == "credited"
        with refused("PT409", "purchase_belongs_to_another_user"):
            ours.call("record_iap_purchase", BOB, *RECEIPT, "credits_20")
        assert ours.call("record_iap_purchase", ALICE, *RECEIPT, "credits_20")["replayed"]
        assert (ours.credits(ALICE), ours.credits(BOB)) == (GRANT + BOUGHT, GRANT)
        assert ours.discrepancies() == []


class TestDefect2_25_PaidAndFreeAreOneNumber:
    """When a store takes a purchase back nobody can tell what of it is left.

    Alice buys, spends, and is given as much again; Bob is given, spends, and buys.
    """

    GENERATIONS = 7

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        for user, first, then in (
            (ALICE, "iap_purchase", "promo_grant"),
            (BOB, "promo_grant", "iap_purchase"),
        ):
            change(plan, user, BOUGHT, first)
            for _ in range(self.GENERATIONS):
                generate(plan.as_user(user), user)
            change(plan, user, BOUGHT, then)
            change(plan, user, -BOUGHT, "iap_refund")
        # Alice had spent what she paid for, and loses what she was given.
        left = GRANT + BOUGHT - self.GENERATIONS * COST
        assert (plan.credits(ALICE), plan.credits(BOB)) == (left, left)

    def test_refused_by_ours(self, ours: Ours) -> None:
        def buy(user: UUID) -> None:
            ours.call("record_iap_purchase", user, *RECEIPT[:2], str(user), "credits_20")

        def give(user: UUID) -> None:
            ours.call("add_credits", user, BOUGHT, "promo_grant", uuid4())

        taken = {}
        for user, first, then in ((ALICE, buy, give), (BOB, give, buy)):
            first(user)
            for _ in range(self.GENERATIONS):
                generate(ours.as_user(user), user)
            then(user)
            notice = (*RECEIPT[:2], f"refund of {user}", "REFUND", str(user))
            taken[user] = ours.call("apply_store_notification", *notice)["credits_changed"]
        # What she was given is spent first, so of what Alice bought 2 are left, and of Bob's all.
        assert taken == {ALICE: -2, BOB: -BOUGHT}
        assert (ours.credits(ALICE), ours.credits(BOB)) == (BOUGHT, 2)
        owed = [ours.call("get_user_credits", user)["credits_owed"] for user in (ALICE, BOB)]
        assert owed == [BOUGHT - 2, 0]
        assert ours.discrepancies() == []


class TestDefect2_44_SendersRepeatForLonger:
    """A message is known for 24 hours, and the App Store repeats it for 157."""

    PAUSES = (1, 12, 24, 48, 72)  # hours until the App Store tries again when nobody answered

    def test_succeeds_on_the_plan(self, plan: Plan) -> None:
        key = uuid4()

        def receive() -> None:
            known = "select 1 from public.idempotency_log where idempotency_key = %s"
            if plan.owner.execute(f"{known} and expires_at > now()", [key]).fetchone():
                return
            change(plan, ALICE, BOUGHT, "iap_refund_reversed")
            plan.owner.execute(
                "insert into public.idempotency_log (idempotency_key, user_id, operation_type)"
                " values (%s, %s, 'credit_purchase')",
                [key, ALICE],
            )

        receive()
        for hours in self.PAUSES:
            plan.owner.execute(
                "update public.idempotency_log set expires_at = expires_at - %s::interval",
                [f"{hours} hours"],
            )
            for (command,) in plan.owner.execute("select command from cron.job").fetchall():
                plan.owner.execute(command)
            receive()
        assert plan.reasons(ALICE).count("iap_refund_reversed") == 4
        assert plan.credits(ALICE) == GRANT + 4 * BOUGHT

    def test_refused_by_ours(self, ours: Ours) -> None:
        messages = [
            ("record_iap_purchase", ALICE, *RECEIPT, "credits_20"),
            ("apply_store_notification", *RECEIPT[:2], "n1", "REFUND", RECEIPT[2]),
            ("apply_store_notification", *RECEIPT[:2], "n2", "REFUND_REVERSED", RECEIPT[2]),
        ]
        first = [ours.call(*message) for message in messages]
        assert [answer["replayed"] for answer in first] == [False, False, False]
        entries = ours.reasons(ALICE)
        for pause in range(1, len(self.PAUSES) + 2):
            hours = sum(self.PAUSES[:pause]) if pause <= len(self.PAUSES) else 10 * 365 * 24
            ours.pass_time(f"{hours} hours")
            ours.owner.execute(
                "select rendio.cleanup_idempotency_log(), rendio.purge_webhook_events()"
            )
            for message, answer in zip(messages, first, strict=True):
                again = ours.call(*message) | {"credits_remaining": None}
                assert again == answer | {"credits_remaining": None, "replayed": True}, hours
        assert ours.reasons(ALICE) == entries
        assert ours.credits(ALICE) == GRANT + BOUGHT
