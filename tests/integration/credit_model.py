"""The credit API on integers and lists: what each call answers, and what it leaves.

Written from the contract, to be compared with rendio's. Calls have the names of the RPCs, and make
their answers; one that is refused leaves nothing (see World.call). Ids that the database makes up
come in as ``fresh``. Times are milliseconds.
"""

import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from lot_model import NEVER, PAID, Account
from lot_model import Refused as TooLittle

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

INITIAL_GRANT = 10
SANDBOX_CAP = 100
PRODUCTS = {"credits_20": 20, "credits_120": 120}
FLAT, BY_SECOND = "flat", "by second"
TIME_TO_START = 15 * MINUTE
TIMEOUTS = {FLAT: 30 * MINUTE, BY_SECOND: 2 * HOUR}


class Refused(Exception):
    """The call ends in an error: SQLSTATE and slug, and what its detail says."""

    def __init__(self, error: str, **detail: int) -> None:
        super().__init__(error)
        self.error, self.detail = error, detail


@dataclass
class User:
    id: UUID
    created_at: int
    account: Account
    is_guest: bool = True
    merged_into: UUID | None = None
    is_deleted: bool = False
    debts: dict[Any, "Debt"] = field(default_factory=dict)  # by the origin of what was refunded

    @property
    def is_blocked(self) -> bool:
        return any(debt.policy == "block" and debt.owed for debt in self.debts.values())

    @property
    def owed(self) -> int:
        return sum(debt.owed for debt in self.debts.values() if debt.policy != "forgive")

    @property
    def is_open_guest(self) -> bool:
        return self.is_guest and self.merged_into is None and not self.is_deleted

    @property
    def granted(self) -> int:
        return sum(
            entry.change
            for entry in self.account.ledger
            if entry.change > 0 and not entry.reason.endswith("_refund")
        )


@dataclass
class Debt:
    """Credits of a purchase that the store took back, and how many of them could be taken."""

    origin: Any
    created_at: int
    revoked: int = 0
    recovered: int = 0  # of that purchase's own lots
    repaid: int = 0  # of other lots
    waived: int = 0
    policy: str = "forgive"

    @property
    def open(self) -> int:
        return self.revoked - self.recovered - self.repaid

    @property
    def owed(self) -> int:
        """What other credits are to pay."""
        return max(0, self.open - self.waived)


@dataclass
class Job:
    id: UUID
    owner: UUID
    price: int
    timeout: int
    created_at: int
    times_out_at: int
    refunded: int = 0
    status: str = "pending"
    error: str | None = None
    attempt: int = 0
    leased_until: int = -1
    provider_id: str | None = None
    ended_at: int | None = None
    is_deleted: bool = False
    is_archived: bool = False

    @property
    def is_active(self) -> bool:
        return self.status in ("pending", "processing")


@dataclass
class Claim:
    """A device's: whose it is, and whether its initial credits were given."""

    owner: UUID
    is_granted: bool


class Key(NamedTuple):
    expires_at: int
    request: tuple[Any, ...]
    response: dict[str, Any]


class Submission(NamedTuple):
    job: UUID
    attempt: int


class Purchase(NamedTuple):
    environment: str
    transaction: str
    owner: UUID
    product: str
    credits: int
    origin: Any

    @property
    def key(self) -> tuple[str, str]:
        return self.environment, self.transaction


@dataclass
class Notice:
    """What a store notified, and what was done then."""

    sale: tuple[str, str]
    name: str
    kind: str
    at: int
    share: int | None  # of the purchase, taken back; thousandths of a percent
    action: str = "waiting"
    changed: int = 0


@dataclass
class World:
    now: int = 0
    users: dict[UUID, User] = field(default_factory=dict)
    devices: dict[str, Claim] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)  # devices of deleted users that had a grant
    apples: dict[str, UUID] = field(default_factory=dict)
    keys: dict[tuple[UUID, UUID], Key] = field(default_factory=dict)
    jobs: dict[UUID, Job] = field(default_factory=dict)
    submissions: dict[str, Submission] = field(default_factory=dict)
    purchases: dict[tuple[str, str], Purchase] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)  # models and products not on sale
    sandbox: str = "capped"
    notices: dict[tuple[str, str], Notice] = field(default_factory=dict)
    shortfall: str = "debt"

    def call(self, name: str, *args: Any) -> Any:
        """Make a call, whole or not at all."""
        before = copy.deepcopy(self.__dict__)
        try:
            return getattr(self, name)(*args)
        except Refused:
            self.__dict__.update(before)
            raise

    # --- accounts ---------------------------------------------------------------------------------

    def device_check(self, user_id: UUID | None, device: str, fresh: UUID | None) -> Any:
        claim = self.devices.get(device)
        if user_id is None:
            is_usable = claim and self.users[claim.owner].is_open_guest
            user_id = claim.owner if claim and is_usable else fresh
            assert user_id
            if claim:
                claim.owner = user_id
        if claim is None:
            claim = self.devices[device] = Claim(user_id, device in self.forgotten)
        is_new = user_id not in self.users
        if is_new:
            account = Account(self.now, owner=user_id, grace=7 * DAY)
            self.users[user_id] = User(user_id, self.now, account)
            if not claim.is_granted:
                claim.is_granted = True
                account.grant(self.now, INITIAL_GRANT, "initial_grant")
        user = self.known(user_id)
        return {
            "user_id": str(user_id),
            "is_new": is_new,
            "is_guest": user.is_guest,
            "tier": "free",
            "credits_remaining": self.available(user),
        }

    def link_apple_account(self, user_id: UUID, sub: str) -> Any:
        owner = self.apples.get(sub)
        replayed = owner is not None and self.is_same(user_id, owner)
        if not replayed:
            guest = self.known(user_id)
            if guest.merged_into:
                raise Refused("PT409 account_merged")
            if not guest.is_guest:
                raise Refused("PT409 invalid_transition")
            if owner:
                self._forfeit_sandbox(guest, owner)
                guest.merged_into = owner
                self._pass_on(guest)
                self.users[owner].debts |= guest.debts
                guest.debts = {}
            else:
                owner = self.apples[sub] = user_id
                guest.is_guest = False
        assert owner
        return {
            "user_id": str(owner),
            "merged_from": None if owner == user_id else str(user_id),
            "credits_remaining": self.available(self.users[owner]),
            "replayed": replayed,
        }

    def delete_account(self, user_id: UUID) -> Any:
        if user_id not in self.users:
            raise Refused("PT404 user_not_found")
        user = self.users[user_id]
        if user.merged_into:
            raise Refused("PT409 account_merged")
        replayed = user.is_deleted
        if not replayed:
            people = [p for p in self.users.values() if p.merged_into == user_id] + [user]
            self._forget_jobs([p.id for p in people])
            for person in people:
                self._forget(person)
        return {"user_id": str(user_id), "deleted": True, "replayed": replayed}

    def _forget_jobs(self, people: list[UUID]) -> None:
        for job in sorted(self.jobs.values(), key=lambda job: (job.owner, job.id)):
            if job.owner in people:
                job.is_deleted = True
                if job.status == "pending" and job.attempt:
                    job.leased_until = NEVER
                elif job.status == "pending":
                    self._fail(job, "cancelled")

    def _forget(self, person: User) -> None:
        self._forfeit(person)
        person.is_deleted = True
        for debt in person.debts.values():
            if debt.policy != "forgive":
                debt.waived = max(debt.waived, debt.open)
        mine = {d: claim for d, claim in self.devices.items() if claim.owner == person.id}
        self.forgotten |= {device for device, claim in mine.items() if claim.is_granted}
        self.devices = {d: claim for d, claim in self.devices.items() if d not in mine}
        self.apples = {sub: owner for sub, owner in self.apples.items() if owner != person.id}
        self.keys = {k: key for k, key in self.keys.items() if k[0] != person.id}

    # --- credits ----------------------------------------------------------------------------------

    def add_credits(
        self, user_id: UUID, amount: int, reason: str, key: UUID, expires_at: int | None
    ) -> Any:
        if amount == 0 or (amount < 0 and (reason == "promo_grant" or expires_at is not None)):
            raise Refused("PT400 invalid_argument")
        request = ("add_credits", amount, reason, expires_at)
        response = {"credits_added": amount}
        if first := self._first(user_id, key, request):
            return first | {"credits_remaining": self._spendable(user_id), "replayed": True}
        if expires_at is not None and expires_at <= self.now:
            raise Refused("PT400 invalid_argument")
        account = self._open(user_id).account
        if amount > 0:
            until = NEVER if expires_at is None else expires_at
            if until <= account.at:
                raise Refused("PT400 invalid_argument")
            account.grant(self.now, amount, reason, expires_at=until)
        else:
            self._spend(account, -amount, reason)
        self.keys[user_id, key] = Key(self.now + DAY, request, response)
        return response | {"credits_remaining": account.balance, "replayed": False}

    def get_user_credits(self, user_id: UUID) -> Any:
        user = self.known(user_id)
        return {
            "credits_remaining": self.available(user),
            "credits_total": user.granted,
            "tier": "free",
            "is_guest": user.is_guest,
            "credits_owed": user.owed,
            "is_blocked": user.is_blocked,
        }

    def balance_at(self, user_id: UUID, at: int) -> int:
        until = [entry for entry in self.known(user_id).account.ledger if entry.at <= at]
        return until[-1].balance if until else 0

    def get_credit_statement(self, user_id: UUID, begin: int, end: int) -> Any:
        """The whole of it: balance before, balance at the end, numbers of the entries between."""
        ledger = self.known(user_id).account.ledger
        return (
            self.balance_at(user_id, begin - 1),
            self.balance_at(user_id, end - 1),
            [entry.seq for entry in reversed(ledger) if begin <= entry.at < end],
        )

    def quote_generation(self, user_id: UUID, model: str, seconds: float | None) -> Any:
        user = self.known(user_id)
        price = self._price(model, seconds)
        available = self.available(user)
        trial = copy.deepcopy(user.account)
        if price <= available:
            trial.spend(self.now, price, "video_generation", "quoted")
            refusal = "account_blocked" if user.is_blocked else None
        else:
            refusal = "account_merged" if user.merged_into else "insufficient_credits"
        return {
            "credits": price,
            "credits_remaining": available,
            "refusal": refusal,
            "lots": [
                {"seq": lot.seq, "n": lot.n, "kind": lot.kind, "credits": drawn}
                for lot, drawn in trial.draws.get("quoted", [])
            ],
        }

    def settle_expired_credits(self) -> int:
        due = [
            u
            for u in self.users.values()
            if not u.merged_into and u.account.next_expiry_at <= self.now
        ]
        for user in due:
            user.account.settle(self.now)
        return len(due)

    # --- generation -------------------------------------------------------------------------------

    def generate_video_atomic(
        self, user_id: UUID, model: str, seconds: float | None, key: UUID, fresh: UUID | None
    ) -> Any:
        request = ("generate_video_atomic", model, seconds)
        if first := self._first(user_id, key, request):
            return first | {"replayed": True}
        price = self._price(model, seconds)
        user = self._open(user_id)
        self._spend(user.account, price, "video_generation", fresh)
        if user.is_blocked:
            raise Refused("PT403 account_blocked")
        assert fresh
        job = Job(fresh, user_id, price, TIMEOUTS[model], self.now, self.now + TIME_TO_START)
        self.jobs[fresh] = job
        response = {"job_id": str(fresh), "status": "pending", "credits_used": price}
        self.keys[user_id, key] = Key(self.now + DAY, request, response)
        return response | {"replayed": False}

    def waiting_jobs(self) -> list[Job]:
        """Who can be claimed, the next one first."""
        return sorted(
            (
                job
                for job in self.jobs.values()
                if job.status == "pending" and job.leased_until <= self.now < job.times_out_at
            ),
            key=lambda job: job.times_out_at,
        )

    def claim_video_jobs(self, limit: int, lease: int) -> list[tuple[UUID, int]]:
        """The jobs that are claimed, each with its attempt."""
        claimed = self.waiting_jobs()[:limit]
        for job in claimed:
            job.attempt += 1
            job.leased_until = self.now + lease
        return [(job.id, job.attempt) for job in claimed]

    def start_video_job(
        self, user_id: UUID, job_id: UUID, provider_id: str, attempt: int | None
    ) -> Any:
        job = self.jobs.get(job_id)
        if not job or job.owner != user_id or job.is_archived:
            raise Refused("PT404 job_not_found")
        newest = max(job.attempt, 1)
        if attempt is not None and not 1 <= attempt <= newest:
            raise Refused("PT400 invalid_argument")
        made = self.submissions.setdefault(provider_id, Submission(job_id, attempt or newest))
        if made.job != job_id:
            raise Refused("PT409 invalid_transition")
        if job.status == "pending" and made.attempt >= job.attempt:
            job.status, job.attempt, job.provider_id = "processing", made.attempt, provider_id
            job.times_out_at = self.now + job.timeout
        return {
            "job_id": str(job_id),
            "status": job.status,
            "attempt": job.attempt,
            "current": job.status == "processing" and job.provider_id == provider_id,
        }

    def complete_video_job(self, provider_id: str, charged: int | None) -> Any:
        job = self._submitted(provider_id)
        if charged is not None and not 0 <= charged <= job.price:
            raise Refused("PT400 invalid_argument")
        was_active = job.is_active
        if was_active:
            job.status, job.provider_id, job.ended_at = "completed", provider_id, self.now
            if charged is not None and charged < job.price:
                self._give_back(job, job.price - charged, "partial_refund")
        return {
            "job_id": str(job.id),
            "status": job.status,
            "credits_charged": job.price - job.refunded,
            "credits_refunded": job.refunded,
            "replayed": not was_active,
        }

    def fail_video_job(self, provider_id: str) -> Any:
        job = self._submitted(provider_id)
        decides = job.status == "processing" and job.provider_id == provider_id
        if decides:
            self._fail(job, "provider_error")
        return {
            "job_id": str(job.id),
            "status": job.status,
            "credits_refunded": job.refunded,
            "replayed": not decides,
        }

    def cancel_video_job(self, user_id: UUID, job_id: UUID) -> Any:
        job = self._readable(user_id, job_id)
        replayed = job.error == "cancelled"
        if not replayed:
            if job.status != "pending" or job.attempt:
                raise Refused("PT409 invalid_transition")
            self._fail(job, "cancelled")
        return {
            "job_id": str(job_id),
            "status": "failed",
            "credits_refunded": job.price,
            "replayed": replayed,
        }

    def refund_video_job(self, user_id: UUID, job_id: UUID, reason: str) -> Any:
        job = self._readable(user_id, job_id)
        if job.status == "completed":
            raise Refused("PT409 job_not_refundable")
        replayed = job.status == "failed"
        if not replayed:
            self._fail(job, "refunded", reason)
        return {
            "job_id": str(job_id),
            "credits_refunded": job.price,
            "credits_remaining": self._spendable(user_id),
            "replayed": replayed,
        }

    def delete_video_job(self, user_id: UUID, job_id: UUID) -> Any:
        self._readable(user_id, job_id).is_deleted = True
        return {"job_id": str(job_id), "deleted": True}

    def get_video_jobs(self, user_id: UUID) -> list[str]:
        """The ids of them all, newest first."""
        mine = [j for j in self.jobs.values() if self.is_same(j.owner, user_id)]
        return [str(j.id) for j in sorted(mine, key=lambda j: -j.created_at) if not j.is_deleted]

    def get_video_status(self, user_id: UUID, job_id: UUID) -> Any:
        job = self._readable(user_id, job_id)
        return job.status, job.error, job.price, job.refunded, job.created_at, job.ended_at

    def sweep_stuck_jobs(self) -> int:
        due = [j for j in self.jobs.values() if j.is_active and j.times_out_at <= self.now]
        for job in sorted(due, key=lambda job: job.times_out_at):
            self._fail(job, "timed_out")
        return len(due)

    def overdue_holds(self) -> set[tuple[UUID, str, int, int]]:
        """What a job still holds that the sweeper, who comes every minute, has left behind."""
        return {
            (job.owner, "hold_older_than_sweep", 0, job.price)
            for job in self.jobs.values()
            if job.is_active and job.times_out_at < self.now - 10 * MINUTE
        }

    def archive_jobs(self) -> int:
        due = [
            job
            for job in self.jobs.values()
            if job.ended_at is not None
            and max(job.ended_at, job.times_out_at) < self.now - 90 * DAY
            and not job.is_archived
        ]
        for job in due:
            job.is_archived = True
        return len(due)

    # --- purchases --------------------------------------------------------------------------------

    def record_iap_purchase(
        self, user_id: UUID, environment: str, transaction: str, product: str, token: UUID | None
    ) -> Any:
        if token and not self.is_same(token, user_id):
            raise Refused("PT409 purchase_belongs_to_another_user")
        first = self.purchases.get((environment, transaction))
        if first and not (self.is_same(first.owner, user_id) or self.is_same(user_id, first.owner)):
            raise Refused("PT409 purchase_belongs_to_another_user")
        if first and first.product != product:
            raise Refused("PT422 idempotency_key_reused")
        sale = first or self._buy(user_id, environment, transaction, product)
        return {
            "credits_added": sale.credits,
            "credits_remaining": self._spendable(user_id),
            "replayed": bool(first),
        }

    def _buy(self, user_id: UUID, environment: str, transaction: str, product: str) -> Purchase:
        if product not in PRODUCTS or product in self.retired:
            raise Refused("PT404 product_not_found")
        if user_id not in self.users:
            raise Refused("PT404 user_not_found")
        user, credits = self.users[user_id], PRODUCTS[product]
        is_sandbox = environment == "Sandbox"
        if is_sandbox:
            room = self._sandbox_room(user.merged_into or user_id)
            credits = min(credits, room) if self.sandbox == "capped" else 0
        origin = self._grant(user, credits, "iap_purchase", is_sandbox) if credits else None
        sale = Purchase(environment, transaction, user_id, product, credits, origin)
        self.purchases[sale.key] = sale
        self._settle_revocation(sale)
        return sale

    def _sandbox_room(self, account: UUID) -> int:
        had = sum(
            sale.credits
            for sale in self.purchases.values()
            if sale.environment == "Sandbox" and self.is_same(sale.owner, account)
        )
        return max(0, SANDBOX_CAP - had)

    def _forfeit_sandbox(self, guest: User, account: UUID) -> None:
        """Take from a guest what the account has no room for."""
        guest.account.settle(self.now)
        room = self._sandbox_room(account) if self.sandbox == "capped" else NEVER
        for lot in sorted(guest.account.lots, key=lambda lot: (lot.seq, lot.n)):
            if lot.is_sandbox and lot.remaining:
                left = min(lot.remaining, room)
                room -= left
                if lot.remaining > left:
                    guest.account.take(self.now, lot, lot.remaining - left, "credit_expired")

    def apply_store_notification(
        self,
        environment: str,
        name: str,
        kind: str,
        transaction: str,
        at: int,
        percentage: int | None,
        token: UUID,
        product: str,
    ) -> Any:
        key = (environment, transaction)
        first = self.notices.get((environment, name))
        if first and (first.kind, first.sale) != (kind, key):
            raise Refused("PT422 idempotency_key_reused")
        notice = first
        if not notice:
            shares = {"REFUND": percentage or 100_000, "REFUND_REVERSED": 0}
            notice = Notice(key, name, kind, at, shares.get(kind))
            self.notices[environment, name] = notice
            if kind == "ONE_TIME_CHARGE":
                self._charge(notice, token, product)
            else:
                self._revoke(notice)
        sale = self.purchases.get(key)
        return {
            "action": notice.action,
            "credits_changed": notice.changed,
            "credits_remaining": self._spendable(sale.owner) if sale else None,
            "replayed": bool(first),
        }

    def _charge(self, notice: Notice, token: UUID, product: str) -> None:
        if notice.sale in self.purchases:
            notice.action = "already_credited"
        elif token in self.users:
            notice.action, notice.changed = (
                "credited",
                self._buy(token, *notice.sale, product).credits,
            )

    def _revoke(self, notice: Notice) -> None:
        if notice is not self._latest(notice.sale):
            notice.action = "outdated"
        elif sale := self.purchases.get(notice.sale):
            notice.action = "revoked" if notice.share else "reversed"
            notice.changed = self._settle_revocation(sale)

    def _latest(self, sale: tuple[str, str]) -> Notice | None:
        """The refund or reversal that holds."""
        told = [n for n in self.notices.values() if n.sale == sale and n.share is not None]
        return max(told, key=lambda n: (n.at, n.name), default=None)

    def _settle_revocation(self, sale: Purchase) -> int:
        """Make a purchase what the store last said it is; return the credits given or taken."""
        latest = self._latest(sale.key)
        if not sale.origin or not latest or latest.share is None:
            return 0
        user, is_sandbox = self._person(sale.owner), sale.environment == "Sandbox"
        revoked = sale.credits * latest.share // 100_000
        debt = user.debts.get(sale.origin) or Debt(sale.origin, self.now)
        if revoked > debt.revoked:
            is_forgiven = is_sandbox or user.is_deleted
            if debt.policy == "forgive":
                debt.waived = debt.open
            debt.revoked, debt.policy = revoked, "forgive" if is_forgiven else self.shortfall
            user.debts[sale.origin] = debt
            return -self._collect(user)
        back = max(0, debt.recovered + debt.repaid - revoked)
        repaid = min(back, debt.repaid)
        debt.revoked, debt.waived = revoked, min(debt.waived, revoked)
        debt.repaid -= repaid
        debt.recovered -= back - repaid
        if back:
            self._grant(user, back, "iap_refund_reversed", is_sandbox, sale.origin)
        return back

    def _grant(
        self, user: User, amount: int, reason: str, is_sandbox: bool, origin: Any = None
    ) -> Any:
        """Give credits that pay what is owed; return their origin."""
        seq = user.account.grant(
            *(self.now, amount, reason),
            priority=10 if is_sandbox else PAID,
            is_sandbox=is_sandbox,
            origin=origin,
        )
        self._collect(user, seq)
        self._pass_on(user)
        return user.id, seq

    def _collect(self, user: User, paid: int | None = None) -> int:
        """Take what is owed from the refunded purchases' own lots and an entry's paid ones."""
        total = 0
        for debt in sorted(user.debts.values(), key=lambda debt: debt.created_at):
            if not debt.open:
                continue
            user.account.settle(self.now)
            lots = [
                (lot.origin != debt.origin, lot.seq, lot.n, lot)
                for lot in user.account.lots
                if lot.origin == debt.origin
                or (
                    debt.policy != "forgive"
                    and lot.kind == "paid"
                    and (lot.seq == paid or lot.origin in user.debts)
                )
            ]
            for *_, lot in sorted(lots, key=lambda lot: lot[:3]):
                due = debt.open if lot.origin == debt.origin else debt.owed
                if taken := min(due, lot.remaining):
                    user.account.take(self.now, lot, taken, "iap_refund")
                    if lot.origin == debt.origin:
                        debt.recovered += taken
                    else:
                        debt.repaid += taken
                    total += taken
        return total

    # --- upkeep -----------------------------------------------------------------------------------

    def cleanup_idempotency_log(self) -> int:
        old = [k for k, key in self.keys.items() if key.expires_at <= self.now]
        for k in old:
            del self.keys[k]
        return len(old)

    def tick(self, timeout: int = 0) -> None:
        """Move on a little: no two jobs time out at once, where any could be the first."""
        self.now += 1
        while timeout and any(j.times_out_at == self.now + timeout for j in self.jobs.values()):
            self.now += 1

    def moments(self) -> list[int]:
        """When something is about to end by itself, the nearest first."""
        lots = [lot.expires_at for u in self.users.values() for lot in u.account.lots]
        jobs = [t for j in self.jobs.values() for t in (j.times_out_at, j.leased_until)]
        keys = [key.expires_at for key in self.keys.values()]
        return sorted({t for t in lots + jobs + keys if self.now < t < NEVER})

    # --- what calls have in common ----------------------------------------------------------------

    def known(self, user_id: UUID) -> User:
        if user_id not in self.users or self.users[user_id].is_deleted:
            raise Refused("PT404 user_not_found")
        return self.users[user_id]

    def is_same(self, owner: UUID, user_id: UUID) -> bool:
        """Whether what is the owner's is the user's to see."""
        return owner == user_id or (
            owner in self.users and self.users[owner].merged_into == user_id
        )

    def available(self, user: User) -> int:
        return user.account.available(self.now)

    def _person(self, user_id: UUID) -> User:
        user = self.users[user_id]
        return self.users[user.merged_into] if user.merged_into else user

    def _spendable(self, user_id: UUID) -> int:
        return self.available(self._person(user_id))

    def _open(self, user_id: UUID) -> User:
        user = self.known(user_id)
        if user.merged_into:
            raise Refused("PT409 account_merged")
        return user

    def _first(self, user_id: UUID, key: UUID, request: tuple[Any, ...]) -> dict[str, Any] | None:
        """Return the response of the call that has the key."""
        first = self.keys.get((user_id, key))
        if not first or first.expires_at <= self.now:
            return None
        if first.request != request:
            raise Refused("PT422 idempotency_key_reused")
        return first.response

    def _price(self, model: str, seconds: float | None) -> int:
        if model in self.retired:
            raise Refused("PT404 model_not_found")
        if model == FLAT:
            return 4
        seconds = 5 if seconds is None else seconds
        if not 0 < seconds <= 12:
            raise Refused("PT400 invalid_argument")
        return max(2, -int(-seconds // 1))

    def _spend(self, account: Account, amount: int, reason: str, job: UUID | None = None) -> None:
        try:
            account.spend(self.now, amount, reason, job)
        except TooLittle:
            raise Refused(
                "PT402 insufficient_credits", required=amount, available=account.balance
            ) from None

    def _submitted(self, provider_id: str) -> Job:
        if provider_id not in self.submissions:
            raise Refused("PT404 job_not_found")
        return self.jobs[self.submissions[provider_id].job]

    def _readable(self, user_id: UUID, job_id: UUID) -> Job:
        job = self.jobs.get(job_id)
        if not job or not self.is_same(job.owner, user_id):
            raise Refused("PT404 job_not_found")
        return job

    def _fail(self, job: Job, error: str, reason: str = "generation_failed_refund") -> None:
        job.status, job.error, job.ended_at = "failed", error, self.now
        self._give_back(job, job.price, reason)

    def _give_back(self, job: Job, amount: int, reason: str) -> None:
        job.refunded = amount
        user = self.users[job.owner]
        user.account.refund(self.now, amount, reason, job.id)
        self._collect(user)
        self._pass_on(user)

    def _pass_on(self, user: User) -> None:
        """Let what reached a closed account leave it."""
        if user.is_deleted:
            self._forfeit(user)
        elif user.merged_into:
            account = self.users[user.merged_into]
            if seq := user.account.move_to(account.account, self.now):
                self._collect(account, seq)

    def _forfeit(self, user: User) -> None:
        user.account.settle(self.now)
        if user.account.balance:
            user.account.spend(self.now, user.account.balance, "credit_expired")
