"""An eager account of credits, as in lot_model.py, that is also merged, refunded and deleted."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import lot_model

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Origin = tuple[Any, int]  # whose entry brought the credits first, and its number


@dataclass
class Debt:
    """What a store took back of one purchase."""

    created_at: int
    origin: UUID  # the purchase's entry
    revoked: int = 0
    recovered: int = 0  # of that purchase's own lots
    repaid: int = 0  # of other lots
    is_forgiven: bool = False

    @property
    def owed(self) -> int:
        return self.revoked - self.recovered - self.repaid


@dataclass
class Account(lot_model.Account):
    """An account that can be merged and deleted, and whose purchases a store can take back."""

    merged_into: UUID | None = None
    is_deleted: bool = False
    debts: dict[Origin, Debt] = field(default_factory=dict)

    def copy(self) -> "Account":
        """Return an account that can change without this one."""
        lots = {id(lot): replace(lot) for lot in self.lots}
        draws = {
            job: [(lots[id(lot)], drawn) for lot, drawn in draws]
            for job, draws in self.draws.items()
        }
        debts = {origin: replace(debt) for origin, debt in self.debts.items()}
        return replace(self, lots=[*lots.values()], ledger=[*self.ledger], draws=draws, debts=debts)

    def buy(self, now: int, amount: int, reason: str, origin: Origin | None = None) -> None:
        """Take credits that were paid for; they pay what is owed first."""
        self.grant(now, amount, reason, lot_model.PAID)
        self.lots[-1].origin = origin or self.lots[-1].origin
        self.collect(now, self.lots[-1].seq)

    def refund(self, now: int, amount: int, reason: str, job: UUID) -> None:
        super().refund(now, amount, reason, job)
        self.collect(now)

    def move_to(self, other: lot_model.Account, now: int) -> None:
        assert isinstance(other, Account)
        before = len(other.ledger)
        super().move_to(other, now)
        if len(other.ledger) > before:
            other.collect(now, other.ledger[-1].seq)

    def merge_into(self, user: UUID, other: "Account", now: int) -> None:
        self.move_to(other, now)
        other.debts |= self.debts
        self.debts = {}
        self.merged_into = user

    def forfeit(self, now: int) -> None:
        """Lose everything, as a deleted account does."""
        self.settle(now)
        if self.balance:
            self.spend(now, self.balance, "credit_expired")

    def delete(self, now: int) -> None:
        self.forfeit(now)
        self.is_deleted = True
        for debt in self.debts.values():
            debt.is_forgiven |= debt.owed > 0

    def take_back(self, now: int, origin: Origin, entry: UUID, revoked: int) -> None:
        """Let a store say how much of a purchase it has taken back: more, or less, than before."""
        debt = self.debts.get(origin, Debt(now, entry))
        if revoked > debt.revoked:
            self.debts[origin] = debt
            debt.revoked, debt.is_forgiven = revoked, self.is_deleted
            self.collect(now)
        elif revoked < debt.revoked:
            back = max(0, debt.recovered + debt.repaid - revoked)
            repaid = min(back, debt.repaid)
            debt.revoked = revoked
            debt.repaid -= repaid
            debt.recovered -= back - repaid
            if back:
                self.buy(now, back, "iap_refund_reversed", origin)

    def collect(self, now: int, paid_seq: int | None = None) -> None:
        """Take what is owed, from what is left of refunded purchases and from what was paid now."""
        owed = [(o, debt) for o, debt in self.debts.items() if debt.owed]
        for origin, debt in sorted(owed, key=lambda pair: (pair[1].created_at, pair[1].origin)):
            self.settle(now)
            for lot in sorted(self.lots, key=lambda x: (x.origin != origin, x.seq, x.n)):
                may_pay = lot.kind == "paid" and not debt.is_forgiven
                pays = may_pay and (lot.seq == paid_seq or lot.origin in self.debts)
                taken = min(debt.owed, lot.remaining) if pays or lot.origin == origin else 0
                if taken:
                    self._write(now, -taken, "iap_refund", (lot.seq, lot.n))
                    lot.remaining -= taken
                    if lot.origin == origin:
                        debt.recovered += taken
                    else:
                        debt.repaid += taken


def digest(ledger: Iterable[lot_model.Entry], begin: datetime) -> str:
    """Compute what ledger_digest() says of a ledger, from its description."""
    chain = hashlib.sha256()
    for entry in ledger:
        at = (begin + timedelta(hours=entry.at) - EPOCH) // timedelta(microseconds=1)
        lot = entry.lot or ("", "")
        values = (entry.seq, entry.change, entry.balance, entry.reason, entry.job or "", *lot)
        text = ",".join(str(value) for value in (*values, "false", at))
        chain = hashlib.sha256(chain.digest() + text.encode())
    return chain.hexdigest()
