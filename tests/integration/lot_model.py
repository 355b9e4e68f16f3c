"""An eager account of credits: every lot is settled in the call that moves it.

Written from the rules of the lots alone, to be compared with rendio's, which are folded later from
the ledger. Times are whole numbers, of hours unless an account's grace says otherwise.
"""

from dataclasses import dataclass, field, replace
from typing import Any

NEVER = 10**15
GRACE = 7 * 24
PAID = 20


class Refused(Exception):
    """The account does not have so many credits."""


@dataclass
class Lot:
    seq: int
    n: int
    priority: int
    amount: int
    remaining: int
    expires_at: int
    is_sandbox: bool = False
    origin: tuple[Any, int] | None = None  # owner and seq of the entry that first brought it

    @property
    def kind(self) -> str:
        return "paid" if self.priority == PAID else "promotional"


@dataclass
class Entry:
    seq: int
    at: int
    change: int
    balance: int
    reason: str
    lot: tuple[int, int] | None
    job: Any = None


@dataclass
class Account:
    """One user's credits."""

    at: int
    next_expiry_at: int = NEVER
    balance: int = 0
    lots: list[Lot] = field(default_factory=list)
    ledger: list[Entry] = field(default_factory=list)
    draws: dict[Any, list[tuple[Lot, int]]] = field(default_factory=dict)
    owner: Any = None
    grace: int = GRACE

    def grant(
        self,
        now: int,
        amount: int,
        reason: str,
        priority: int = 10,
        expires_at: int = NEVER,
        is_sandbox: bool = False,
        origin: tuple[Any, int] | None = None,
    ) -> int:
        """Open a lot; return the number of its entry."""
        self.settle(now)
        seq = self._write(now, amount, reason)
        origin = origin or (self.owner, seq)
        self.lots.append(Lot(seq, 1, priority, amount, amount, expires_at, is_sandbox, origin))
        self.next_expiry_at = min(self.next_expiry_at, expires_at)
        return seq

    def spend(self, now: int, amount: int, reason: str, job: Any = None) -> None:
        self.settle(now)
        if amount > self.balance:
            raise Refused
        self._write(now, -amount, reason, job=job)
        spendable = sorted(
            self.lots, key=lambda lot: (lot.priority, lot.expires_at, lot.seq, lot.n)
        )
        for lot in spendable:
            drawn = min(amount, lot.remaining)
            lot.remaining -= drawn
            amount -= drawn
            if job and drawn:
                self.draws.setdefault(job, []).append((lot, drawn))

    def refund(self, now: int, amount: int, reason: str, job: Any) -> None:
        seq = self._write(now, amount, reason, job=job)
        n = 0
        for lot, drawn in reversed(self.draws[job]):
            back = min(amount, drawn)
            amount -= back
            if back and lot.expires_at > self.at:
                lot.remaining += back
            elif back:
                n += 1
                until = self.at + self.grace
                anew = replace(lot, seq=seq, n=n, amount=back, remaining=back, expires_at=until)
                self.lots.append(anew)
        if any(lot.expires_at <= self.at for lot in self.lots):
            self.next_expiry_at = min(self.next_expiry_at, self.at + self.grace)

    def take(self, now: int, lot: Lot, amount: int, reason: str) -> None:
        """Take from one lot alone."""
        self._write(now, -amount, reason, (lot.seq, lot.n))
        lot.remaining -= amount

    def move_to(self, other: "Account", now: int) -> int | None:
        """Give all there is to another account, each lot as a lot; return the entry's number."""
        self.settle(now)
        lots = sorted((lot.seq, lot.n, replace(lot)) for lot in self.lots if lot.remaining)
        if not lots:
            return None
        total = self.balance
        self.spend(now, total, "guest_merge_out")
        other.settle(now)
        seq = other._write(now, total, "guest_merge_in")
        for n, (_, _, lot) in enumerate(lots, 1):
            other.lots.append(replace(lot, seq=seq, n=n, amount=lot.remaining))
            other.next_expiry_at = min(other.next_expiry_at, lot.expires_at)
        return seq

    def settle(self, now: int) -> None:
        at = max(self.at, now)
        if self.next_expiry_at > at:
            return
        for lot in sorted(self.lots, key=lambda lot: (lot.expires_at, lot.seq, lot.n)):
            if lot.remaining and lot.expires_at <= at:
                self.take(at, lot, lot.remaining, "credit_expired")
        self.at = at
        self.next_expiry_at = min([e for lot in self.lots if (e := lot.expires_at) > at] + [NEVER])

    def available(self, now: int) -> int:
        return sum(lot.remaining for lot in self.lots if lot.expires_at > max(self.at, now))

    def _write(
        self,
        now: int,
        change: int,
        reason: str,
        lot: tuple[int, int] | None = None,
        job: Any = None,
    ) -> int:
        self.at = max(self.at, now)
        self.balance += change
        seq = len(self.ledger) + 1
        self.ledger.append(Entry(seq, self.at, change, self.balance, reason, lot, job))
        return seq
