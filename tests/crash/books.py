"""The ledgers as they follow from the journal, entry by entry.

Each person's calls are played on an eager account of credits (lot_model.py) in the order in which
they were made. The ledger itself tells two things only: where between those calls maintenance,
which the person did not order, came in, and whether a call that nobody answered was done. What is
written then, and what must not be, follows from the journal.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import lot_model

from crash.account import Account, Origin
from crash.calls import Call
from crash.facts import Drift, Facts
from crash.people import COST, INITIAL_GRANT, PRODUCT_CREDITS

# How a job's row tells which kind of call has ended it; other than by a sweep, or a deletion.
ENDINGS = {"complete": None, "fail": "provider_error", "refund": "refunded", "cancel": "cancelled"}
MONEY = (
    *("guest", "grant", "expiring_grant", "take", "generate"),
    *("purchase", "store_refund", "store_reversal"),
    *("upgrade", "merge", "delete", *ENDINGS),
)


class NotThis(Exception):
    """Maintenance does not write such an entry."""


@dataclass
class State:
    """What is known of one person after some of its calls."""

    accounts: dict[UUID, Account] = field(default_factory=dict)
    owners: dict[UUID, UUID] = field(default_factory=dict)  # of jobs
    made_at: dict[UUID, int] = field(default_factory=dict)
    swept: set[UUID] = field(default_factory=set)
    cancelled: set[UUID] = field(default_factory=set)
    bought: dict[str, Origin] = field(default_factory=dict)  # by transaction

    def copy(self) -> "State":
        accounts = {user: account.copy() for user, account in self.accounts.items()}
        kept = {**self.owners}, {**self.made_at}, {*self.swept}, {*self.cancelled}, {**self.bought}
        return State(accounts, *kept)


Change = Callable[[State], None]


@dataclass
class Family:
    """The accounts of one person, and how far its calls are in the books."""

    calls: list[Call]  # grows
    begin: datetime
    state: State = field(default_factory=State)
    booked: int = 0
    _last_sure: State | None = None

    def book(self, facts: Facts) -> bool | None:
        """Play the calls made since; return whether an unanswered last one was done.

        None when there is no such call, or when it is none that the ledger shows.
        """
        if self._last_sure:
            self.state, self._last_sure = self._last_sure, None
        while self.booked < len(self.calls) and self.calls[self.booked].is_answered:
            self._book_call(self.calls[self.booked], facts)
            self.booked += 1
        done = None
        if self.booked < len(self.calls):  # one, which will be answered before there is another
            self._last_sure = self.state.copy()
            done = self._book_call(self.calls[self.booked], facts)
        while self._book_maintenance(facts):
            pass
        return done

    def check(self, facts: Facts) -> None:
        """Raise unless the ledgers are exactly what was played."""
        for user, account in self.state.accounts.items():
            found = facts.ledgers.get(user, [])
            if found != account.ledger:
                raise Drift(_difference(user, account.ledger, found))
            owed = {d.origin: (d.revoked, d.recovered, d.repaid) for d in account.debts.values()}
            if facts.debts.get(user, {}) != owed:
                raise Drift(f"{user} owes {facts.debts.get(user)}, not {owed}")

    # -- one step

    def _book_call(self, call: Call, facts: Facts) -> bool | None:
        if call.kind not in MONEY:
            return None
        must = _must_be_done(call)
        if must is False or not self._has_its_job(call, facts):
            return False
        if must is None and self._is_surely_undone(call, facts):
            return False
        # A call that writes nothing can settle expiry, or open a debt, all the same: what
        # maintenance wrote that fits without it came before it, or might have.
        at = self._hours(call.at)
        while self._book_maintenance(facts, before=at) or self._book_written(facts):
            pass
        before = self._entries()
        while not self._played(lambda state: self._apply(call, state, facts), facts):
            if self._book_maintenance(facts):
                before = self._entries()
            elif must is None:
                return False
            else:
                raise Drift(f"{call.name} was answered {call.answer} and is not in the ledger")
        return True if self._entries() > before else None

    @staticmethod
    def _is_surely_undone(call: Call, facts: Facts) -> bool:
        """Tell whether something else than the ledger shows that an unanswered call is not done."""
        if call.kind.startswith("store_"):
            return str(call.key) not in facts.notified
        if not call.job or call.kind not in ENDINGS:
            return False
        return facts.ended.get(call.job) != ENDINGS[call.kind]

    def _has_its_job(self, call: Call, facts: Facts) -> bool:
        """Find the job of a generation whose answer, which names it, was lost."""
        if call.kind == "generate" and call.job is None:
            call.job = facts.jobs_by_key.get(call.key)
            return call.job is not None
        return True

    def _entries(self) -> int:
        return sum(len(account.ledger) for account in self.state.accounts.values())

    def _book_maintenance(self, facts: Facts, before: int = lot_model.NEVER) -> bool:
        """Play a settlement or a sweep if a ledger goes on with one that was due."""
        if self._book_written(facts, before):
            return True
        return any(
            rest[0].at < before and self._settled_silently(user, rest[0].at)
            for user, rest in self._rests(facts)
        )

    def _book_written(self, facts: Facts, before: int = lot_model.NEVER) -> bool:
        """Play maintenance that is what a ledger goes on with."""
        return any(
            rest[0].at < before and self._played(self._maintenance(user, rest[0], facts), facts)
            for user, rest in self._rests(facts)
        )

    def _rests(self, facts: Facts) -> list[tuple[UUID, list[lot_model.Entry]]]:
        """Return what is in the ledgers and not yet in the books."""
        rests = [
            (user, facts.ledgers.get(user, [])[len(account.ledger) :])
            for user, account in self.state.accounts.items()
        ]
        return [(user, rest) for user, rest in rests if rest]

    def _settled_silently(self, user: UUID, at: int) -> bool:
        """Play a settlement that had nothing to take: what is dated before it now comes after."""
        trial = self.state.copy()
        account = trial.accounts[user]
        before = account.at, len(account.ledger)
        account.settle(at)
        if account.at == before[0] or len(account.ledger) > before[1]:
            return False
        self.state = trial
        return True

    def _maintenance(self, user: UUID, entry: lot_model.Entry, facts: Facts) -> Change:
        """Return what maintenance does that writes this entry first."""

        def change(state: State) -> None:
            job = entry.job
            before = len(state.accounts[user].ledger)
            if entry.reason == "credit_expired" and entry.lot:
                state.accounts[user].settle(entry.at)
            elif job and self._may_be_swept(job, entry, facts):
                _give_back(state, job, entry.at)
                state.swept.add(job)
            if len(state.accounts[user].ledger) == before:
                raise NotThis

        return change

    def _may_be_swept(self, job: UUID, entry: lot_model.Entry, facts: Facts) -> bool:
        return (
            job in self.state.owners
            and job not in self.state.swept
            and facts.ended.get(job) == "timed_out"
            and entry.at > self.state.made_at[job]
        )

    def _played(self, change: Change, facts: Facts) -> bool:
        """Play a change; keep it if the ledgers go on exactly with what it writes."""
        trial = self.state.copy()
        try:
            change(trial)
        except (lot_model.Refused, NotThis):
            return False
        for user, account in trial.accounts.items():
            known = self.state.accounts.get(user)
            before = len(known.ledger) if known else 0
            found = facts.ledgers.get(user, [])[before : len(account.ledger)]
            if found != account.ledger[before:]:
                return False
        self.state = trial
        return True

    # -- what calls write

    def _apply(self, call: Call, state: State, facts: Facts) -> None:
        assert call.user
        at = self._hours(call.at)
        if call.kind == "guest":
            state.accounts[call.user] = Account(at, owner=call.user)
        account = state.accounts[call.user]
        match call.kind:
            case "guest":
                account.grant(at, INITIAL_GRANT, "initial_grant")
            case "grant" | "expiring_grant":
                life = self._hours(call.args[4]) if len(call.args) > 4 else lot_model.NEVER
                account.grant(at, call.args[1], "promo_grant", expires_at=life)
            case "take":
                account.spend(at, -call.args[1], "admin_adjustment")
            case "purchase":
                account.buy(at, PRODUCT_CREDITS, "iap_purchase")
                state.bought[call.args[3]] = call.user, _last_purchase(account)
                _pass_on(state, account, at)
            case "store_refund" | "store_reversal":
                _take_back(state, account, call, facts, at)
            case "generate":
                _generate(state, account, call, at)
            case "merge":
                into = self._account()
                account.merge_into(into, state.accounts[into], at)
            case "delete":
                _delete(state, call.user, facts, at)
            case "cancel" | "refund" | "fail" | "complete":
                charged = call.args[5] if call.kind == "complete" else 0
                _end(state, call, at, COST if charged is None else charged)

    def _account(self) -> UUID:
        """Return whose the person's Apple id is."""
        return next(c.user for c in self.calls if c.kind == "upgrade" and c.answer and c.user)

    def _hours(self, at: datetime) -> int:
        return int((at - self.begin) / timedelta(hours=1))


def _last_purchase(account: Account) -> int:
    return next(e.seq for e in reversed(account.ledger) if e.reason == "iap_purchase")


def _take_back(state: State, buyer: Account, call: Call, facts: Facts, at: int) -> None:
    """Take a purchase back, or return it, where its credits are now."""
    owner = state.accounts[buyer.merged_into] if buyer.merged_into else buyer
    share = json.loads(call.args[5]).get("revocationPercentage", 100_000)
    revoked = PRODUCT_CREDITS * share // 100_000 if call.kind == "store_refund" else 0
    origin = state.bought[call.args[4]]
    owner.take_back(at, origin, facts.ids[origin], revoked)
    _pass_on(state, owner, at)


def _generate(state: State, account: Account, call: Call, at: int) -> None:
    assert call.job
    assert call.user
    state.owners[call.job] = call.user
    state.made_at[call.job] = at
    account.draws[call.job] = []
    account.spend(at, COST, "video_generation", call.job)


def _end(state: State, call: Call, at: int, charged: int) -> None:
    assert call.job
    if call.kind == "cancel":
        state.cancelled.add(call.job)
    reason = "partial_refund" if call.kind == "complete" else "generation_failed_refund"
    if charged < COST:
        _give_back(state, call.job, at, COST - charged, reason)


def _give_back(
    state: State,
    job: UUID,
    at: int,
    credits: int = COST,
    reason: str = "generation_failed_refund",
) -> None:
    account = state.accounts[state.owners[job]]
    account.refund(at, credits, reason, job)
    _pass_on(state, account, at)


def _delete(state: State, user: UUID, facts: Facts, at: int) -> None:
    """Cancel what no worker had, and take the rest; guests first."""
    people = [u for u, a in state.accounts.items() if a.merged_into == user] + [user]
    cancelled = [
        job
        for job, owner in state.owners.items()
        if owner in people and facts.ended.get(job) == "cancelled" and job not in state.cancelled
    ]
    for job in sorted(cancelled, key=lambda job: (state.owners[job], job)):
        _give_back(state, job, at)
    for person in people:
        state.accounts[person].delete(at)


def _pass_on(state: State, account: Account, at: int) -> None:
    """Let credits that reached a deleted or merged account go where they must."""
    if account.is_deleted:
        account.forfeit(at)
    elif account.merged_into:
        account.move_to(state.accounts[account.merged_into], at)


def _must_be_done(call: Call) -> bool | None:
    """Tell whether this call must be in the ledger; None: it may be, wholly or not at all."""
    if call.repeats:
        _check_repeat(call)
        return False
    if call.refusal:
        return False
    if call.answer is None:
        return False if call.is_surely_undone else None
    replayed = call.answer.get("replayed", not call.answer.get("is_new"))
    if not replayed:
        return True
    if call.kind in ENDINGS:
        return None if call.lost else False  # somebody else may have ended the job
    if not call.lost:
        raise Drift(f"{call.name} is the first with its key and was answered as a replay")
    return True


def _check_repeat(call: Call) -> None:
    """Raise unless a call with a key that was answered before says the same, as a replay."""
    assert call.repeats
    if not call.is_answered:
        return
    expected = call.repeats.answer | {"replayed": True, "credits_remaining": None}
    found = (call.answer or {"refused": call.refusal}) | {"credits_remaining": None}
    if found | expected != found:
        raise Drift(f"{call.name} was answered {call.repeats.answer}, and repeated {call.answer}")


def unknown_ledgers(families: Iterable[Family], facts: Facts) -> set[UUID]:
    """Return whose ledgers nobody in the journal can have made."""
    return set(facts.ledgers) - {user for family in families for user in family.state.accounts}


def _difference(user: UUID, expected: list[lot_model.Entry], found: list[lot_model.Entry]) -> str:
    n = next(
        (i for i, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]),
        min(len(expected), len(found)),
    )
    wanted, there = expected[n : n + 2], found[n : n + 2]
    return f"the ledger of {user} from entry {n + 1} on is\n  {there}\nnot\n  {wanted}"
