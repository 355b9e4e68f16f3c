-- The proof: each query states a claim, whether it holds, and what was found.
select
    'The books agree' as claim,
    count(*) = 0 as holds,
    format(
        '%s in %s: %s',
        demo.n(count(*), 'discrepancy'),
        (select demo.n(count(*), 'ledger entry') from public.quota_log),
        coalesce(string_agg(distinct r.problem, ', '), 'reconcile_credits()')
    ) as found
from public.reconcile_credits() as r;

with moved as (
    select
        sum(q.change) filter (where q.reason in ('initial_grant', 'promo_grant')) as granted,
        coalesce(sum(q.change) filter (where q.reason = 'iap_purchase'), 0) as bought,
        coalesce(-sum(q.change) filter (where q.reason = 'video_generation'), 0) as spent,
        coalesce(
            sum(q.change)
            filter (where q.reason in ('generation_failed_refund', 'partial_refund')),
            0
        ) as given_back
    from public.quota_log as q
)

select
    'Credits add up' as claim,
    m.granted + m.bought - m.spent + m.given_back = sum(u.credits_remaining) as holds,
    format(
        '%s granted + %s bought - %s spent + %s back = %s left',
        demo.n(m.granted), demo.n(m.bought), demo.n(m.spent), demo.n(m.given_back),
        demo.n(sum(u.credits_remaining))
    ) as found
from moved as m
cross join public.users as u
group by m.granted, m.bought, m.spent, m.given_back;

select
    'A job is charged once' as claim,
    bool_and(coalesce(q.charges = 1 and q.charged = j.credits_used, false)) as holds,
    format('%s, %s', demo.n(count(j.job_id), 'job'), demo.n(sum(q.charges), 'charge')) as found
from public.video_jobs as j
full join (
    select q.user_id, q.job_id, count(*) as charges, -sum(q.change) as charged
    from public.quota_log as q
    where q.reason = 'video_generation'
    group by q.user_id, q.job_id
) as q on q.user_id = j.user_id and q.job_id = j.job_id;

with keys as (
    select
        c.user_id,
        c.key,
        count(*) as requests,
        count(distinct c.job_id) as jobs,
        count(*) filter (where c.answer ->> 'replayed' = 'false') as firsts
    from demo.calls as c
    where c.call = 'generate_video_atomic' and c.error is null
    group by c.user_id, c.key
)

select
    'A key is charged once' as claim,
    bool_and(k.jobs = 1 and k.firsts <= 1 and j.job_id is not null)
    and count(*) = (select count(*) from public.video_jobs) as holds,
    format(
        '%s with %s (one %s) made %s',
        demo.n(sum(k.requests), 'request'), demo.n(count(*), 'key'),
        demo.n(max(k.requests), 'time'), demo.n(count(j.job_id), 'job')
    ) as found
from keys as k
left join public.idempotency_log as l on l.user_id = k.user_id and l.idempotency_key = k.key
left join public.video_jobs as j on j.user_id = l.user_id and j.job_id = l.job_id;

select
    'A job ends once' as claim,
    count(*) filter (
        where j.status not in ('completed', 'failed')
            or (j.status = 'failed' and j.credits_refunded <> j.credits_used)
            or coalesce(r.refunds, 0) <> (j.credits_refunded > 0)::integer
    ) = 0 as holds,
    format(
        '%s: %s completed, %s refunded, %s open',
        (
            select demo.n(count(*), 'webhook') from demo.calls as c
            where c.call in ('complete_video_job', 'fail_video_job')
        ),
        demo.n(count(*) filter (where j.status = 'completed')),
        demo.n(count(*) filter (where j.status = 'failed')),
        demo.n(count(*) filter (where j.status in ('pending', 'processing')))
    ) as found
from public.video_jobs as j
left join (
    select q.user_id, q.job_id, count(*) as refunds
    from public.quota_log as q
    where q.reason in ('generation_failed_refund', 'partial_refund')
    group by q.user_id, q.job_id
) as r on r.user_id = j.user_id and r.job_id = j.job_id;

with receipts as (
    select
        count(*) filter (where c.error is null) as receipts,
        count(distinct c.subject) as transactions
    from demo.calls as c
    where c.call = 'record_iap_purchase'
)

select
    'A purchase counts once' as claim,
    r.transactions = count(t.transaction_id)
    and coalesce(sum(t.credits_added), 0) = (
        select coalesce(sum(q.change), 0)
        from public.quota_log as q where q.reason = 'iap_purchase'
    ) as holds,
    format(
        '%s of %s brought %s',
        demo.n(r.receipts, 'receipt'), demo.n(r.transactions, 'transaction'),
        demo.n(coalesce(sum(t.credits_added), 0), 'credit')
    ) as found
from receipts as r
left join public.iap_transactions as t on true
group by r.receipts, r.transactions;

with devices as (
    select count(*) as visits, count(distinct c.subject) as devices
    from demo.calls as c where c.call = 'device_check'
)

select
    'A device is granted once' as claim,
    d.devices = count(*) and count(*) = count(distinct q.user_id) as holds,
    format(
        '%s of %s brought %s',
        demo.n(d.visits, 'visit'), demo.n(d.devices, 'device'), demo.n(count(*), 'grant')
    ) as found
from devices as d
inner join public.quota_log as q on q.reason = 'initial_grant'
group by d.visits, d.devices;

select
    'Nobody spends for others' as claim,
    count(*) filter (where c.error is null) = 0
    and not exists (
        select from public.quota_log as q
        where q.reason = 'video_generation' and not exists (
            select from demo.calls as c
            where c.job_id = q.job_id and c.user_id = q.user_id and c.caller_id = q.user_id
        )
    ) as holds,
    format(
        '%s, %s refused; every charge was asked for by its user',
        demo.n(count(*), 'attempt'), demo.n(count(*) filter (where c.error is not null))
    ) as found
from demo.calls as c
where c.scene = 'theft';

select
    'No balance below zero' as claim,
    min(q.balance_after) >= 0 as holds,
    format('the lowest ever was %s', min(q.balance_after)) as found
from public.quota_log as q;

select
    'Nothing is overdue' as claim,
    bool_and(h.ok) as holds,
    format('%s of %s checks well: rendio.health()', count(*) filter (where h.ok), count(*))
        as found
from rendio.health() as h;
