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
from demo.jobs as j
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
        min(c.job_id::text)::uuid as job_id,
        count(*) filter (where c.answer ->> 'replayed' = 'false') as firsts
    from demo.calls as c
    where c.call = 'generate_video_atomic' and c.error is null
    group by c.user_id, c.key
)

select
    'A key is charged once' as claim,
    bool_and(k.jobs = 1 and k.firsts <= 1 and j.job_id is not null)
    and count(*) = count(distinct j.job_id)
    and count(*) = (select count(*) from demo.jobs) as holds,
    format(
        '%s with %s (one %s) made %s',
        demo.n(sum(k.requests), 'request'), demo.n(count(*), 'key'),
        demo.n(max(k.requests), 'time'), demo.n(count(distinct j.job_id), 'job')
    ) as found
from keys as k
left join demo.jobs as j on j.user_id = k.user_id and j.job_id = k.job_id;

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
from demo.jobs as j
left join (
    select q.user_id, q.job_id, count(*) as refunds
    from public.quota_log as q
    where q.reason in ('generation_failed_refund', 'partial_refund')
    group by q.user_id, q.job_id
) as r on r.user_id = j.user_id and r.job_id = j.job_id;

with reports as (
    select distinct
        c.subject,
        case c.call when 'complete_video_job' then 'completed' else 'failed' end as status,
        case c.call when 'complete_video_job' then 'succeeded' else 'failed' end as outcome
    from demo.calls as c
    where c.call in ('complete_video_job', 'fail_video_job') and c.error is null
)

select
    'No report is lost' as claim,
    coalesce(bool_and(j.job_id is not null or coalesce(p.outcome = r.outcome, false)), true)
        as holds,
    format(
        '%s: %s ended their jobs, %s kept beside them',
        demo.n(count(*), 'different report'),
        demo.n(count(j.job_id)),
        demo.n(count(*) filter (where j.job_id is null and p.outcome = r.outcome))
    ) as found
from reports as r
left join public.provider_jobs as p on p.provider_job_id = r.subject
left join demo.jobs as j
    on j.user_id = p.user_id and j.job_id = p.job_id
    and j.provider_job_id = r.subject and j.status::text = r.status;

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
    select c.subject, count(*) as visits
    from demo.calls as c where c.call = 'device_check'
    group by c.subject
),

granted as (
    select q.user_id, count(*) as grants
    from public.quota_log as q where q.reason = 'initial_grant'
    group by q.user_id
)

select
    'A device is granted once' as claim,
    bool_and(coalesce(i.initial_grant_claimed and g.grants = 1, false))
    and count(*) = (select sum(a.grants) from granted as a) as holds,
    format(
        '%s of %s brought %s',
        demo.n(sum(d.visits), 'visit'), demo.n(count(*), 'device'),
        demo.n(coalesce(sum(g.grants), 0), 'grant')
    ) as found
from devices as d
left join public.account_identities as i on i.kind = 'device' and i.identifier = d.subject
left join granted as g on g.user_id = i.user_id;

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
