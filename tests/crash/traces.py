"""What a call leaves besides ledger entries: all of its traces are there, or none."""

from typing import Any

import psycopg

from crash.calls import Call
from crash.facts import Drift

# Each query tells of every trace of one call whether it is there. A trace that the call shares with
# others, like a job's end, counts only while this call alone can have left it.
_KEY = (
    "exists (select from public.idempotency_log as l"
    " where l.user_id = %(user)s and l.idempotency_key = %(key)s)"
)
_JOB = (
    "from public.idempotency_log as l where l.user_id = %(user)s and l.idempotency_key = %(key)s"
    " and exists (select from {table} as t where t.user_id = l.user_id and t.{column} = l.job_id"
    " {more}))"
)
_JOBS = (
    "(select * from public.video_jobs union all select * from public.video_jobs_archive) as j"
    " where j.user_id = %(user)s and j.job_id = %(job)s"
)
_BOUGHT = (
    "from public.iap_transactions as t where t.user_id = %(user)s"
    " and t.transaction_id = 't-' || %(key)s::text"
)
_LINKED = (
    "exists (select from public.account_identities as i"
    " where i.kind = 'apple' and i.identifier = %(apple)s)"
)
_NOTIFIED = (
    "exists (select from public.store_notifications as n"
    " where n.notification_id = %(key)s::text and n.action in ('revoked', 'reversed'))"
)
TRACES = {
    "guest": (
        "exists (select from public.users as u where u.id = %(user)s)",
        "exists (select from public.account_identities as i where i.kind = 'device'"
        " and i.user_id = %(user)s and i.initial_grant_claimed)",
        "exists (select from public.credit_grants as g where g.user_id = %(user)s)",
    ),
    "grant": (_KEY,),
    "expiring_grant": (_KEY,),
    "take": (_KEY,),
    "purchase": (
        f"exists (select {_BOUGHT} and t.credits_added > 0)",
        f"exists (select {_BOUGHT} and t.ledger_seq is not null)",
        "exists (select from public.iap_transactions as t join public.quota_log as q"
        " on q.user_id = t.user_id and q.seq = t.ledger_seq and q.reason = 'iap_purchase'"
        " join public.credit_grants as g on g.user_id = t.user_id and g.seq = t.ledger_seq"
        " where t.user_id = %(user)s and t.transaction_id = 't-' || %(key)s::text)",
    ),
    "store_refund": (_NOTIFIED,),
    "store_reversal": (_NOTIFIED,),
    "generate": (
        _KEY,
        "exists (select " + _JOB.format(table="public.quota_log", column="id", more=""),
        "exists (select "
        + _JOB.format(
            table="public.quota_log", column="job_id", more="and t.reason = 'video_generation'"
        ),
        "exists (select "
        + _JOB.format(
            table=(
                "(select user_id, job_id from public.video_jobs union all"
                " select user_id, job_id from public.video_jobs_archive)"
            ),
            column="job_id",
            more="",
        ),
    ),
    "start": (
        "exists (select from public.provider_jobs as s where s.user_id = %(user)s"
        " and s.job_id = %(job)s and s.provider_job_id = %(provider_job)s)",
    ),
    "complete": (
        "exists (select from public.webhook_events as e where e.source = 'fal'"
        " and e.event_id = %(event)s and e.kind = 'completed')",
        "exists (select from (select video_url from public.video_jobs union all"
        " select video_url from public.video_jobs_archive union all"
        " select video_url from public.provider_jobs) as v"
        " where v.video_url = %(video_url)s)",
    ),
    "fail": (
        "exists (select from public.webhook_events as e where e.source = 'fal'"
        " and e.event_id = %(event)s and e.kind = 'failed')",
    ),
    "refund": (f"exists (select from {_JOBS} and j.error_code = 'refunded')",),
    "cancel": (f"exists (select from {_JOBS} and j.error_code = 'cancelled')",),
    "upgrade": (
        _LINKED,
        "exists (select from public.users as u where u.id = %(user)s and not u.is_guest)",
    ),
    "merge": (
        "exists (select from public.users as u where u.id = %(user)s"
        " and u.merged_into is not null)",
    ),
    "delete": (
        "exists (select from public.users as u where u.id = %(user)s"
        " and u.deleted_at is not null and u.credits_remaining = 0)",
        "exists (select from public.account_identities as i where i.user_id = %(user)s"
        " and i.kind = 'device_digest')",
        "not exists (select from public.account_identities as i where i.user_id = %(user)s"
        " and i.kind in ('device', 'apple'))",
    ),
}
NAMES = {  # which argument of a call a query asks for
    "start": {"provider_job": 2},
    "complete": {"video_url": 2, "event": 4},
    "fail": {"event": 3},
    "upgrade": {"apple": 1},
}
# A deletion erases keys, and a job that has ended otherwise hides who else wanted to end it.
_ERASED = ("guest", "grant", "expiring_grant", "take", "generate", "complete", "upgrade")


def check(
    conn: psycopg.Connection[Any], call: Call, done: bool | None, *, is_deleted: bool
) -> None:
    """Raise unless a call's traces are all there or all missing, as the ledger has it."""
    if call.kind not in TRACES or call.refusal or (is_deleted and call.kind in _ERASED):
        return
    names = {
        "user": call.user,
        "job": call.job,
        "key": call.key,
    } | {name: call.args[n] for name, n in NAMES.get(call.kind, {}).items()}
    query = "select " + ", ".join(TRACES[call.kind])
    found = conn.execute(query, names).fetchone()
    assert found is not None
    expected = {True: [True], False: [False], None: [True, False]}[done]
    if not any(all(there is each for there in found) for each in expected):
        wanted = "all" if done else "none" if done is False else "all or none"
        raise Drift(
            f"{call.name} left the traces {found}: expected {wanted} of {TRACES[call.kind]}"
        )
