-- The table of a run at size: each query tells what was asked, what happened and what it cost.
select
    null as at,
    format('%s open the app', demo.n(count(distinct c.subject), 'guest')) as asked,
    (select demo.n(count(*), 'account') from public.users) as happened,
    (select sum(q.change) from public.quota_log as q where q.reason = 'initial_grant')
        as credits
from demo.calls as c where c.call = 'device_check';

select
    null as at,
    format(
        '%s for videos, %s of them again',
        demo.n(count(*), 'request'), demo.n(count(*) - count(distinct c.key))
    ) as asked,
    format(
        '%s, %s',
        (select demo.n(count(*), 'job') from public.video_jobs),
        demo.n(count(*) filter (where c.answer ->> 'replayed' = 'true'), 'replay')
    ) as happened,
    (select sum(q.change) from public.quota_log as q where q.reason = 'video_generation')
        as credits
from demo.calls as c where c.call = 'generate_video_atomic' and c.error is null;

select
    null as at,
    format('%s with too few credits left', demo.n(count(*), 'request')) as asked,
    format('refused: %s', coalesce(string_agg(distinct c.error, ', '), 'none')) as happened,
    0 as credits
from demo.calls as c where c.error is not null and c.scene <> 'theft';

select
    null as at,
    format('%s on other people''s accounts', demo.n(count(*), 'request')) as asked,
    format('refused: %s', coalesce(string_agg(distinct c.error, ', '), 'none')) as happened,
    0 as credits
from demo.calls as c where c.scene = 'theft';

select
    null as at,
    format('%s of the App Store', demo.n(count(*), 'receipt')) as asked,
    (select demo.n(count(*), 'purchase') from public.iap_transactions) as happened,
    (select sum(q.change) from public.quota_log as q where q.reason = 'iap_purchase') as credits
from demo.calls as c where c.call = 'record_iap_purchase';

select
    null as at,
    format('fal delivers: %s', demo.n(count(*), 'webhook')) as asked,
    format(
        '%s completed',
        (select demo.n(count(*)) from public.video_jobs as j where j.status = 'completed')
    ) as happened,
    0 as credits
from demo.calls as c where c.call = 'complete_video_job' and c.scene = 'videos';

select
    null as at,
    format('%s of these are shorter than asked for', demo.n(count(*))) as asked,
    format(
        '%s of %s credits back',
        demo.n(coalesce(sum(j.credits_refunded), 0)), demo.n(coalesce(sum(j.credits_used), 0))
    ) as happened,
    sum(j.credits_refunded) as credits
from public.video_jobs as j where j.status = 'completed' and j.credits_refunded > 0;

select
    null as at,
    format('fal refuses prompts: %s', demo.n(count(*), 'webhook')) as asked,
    (
        select format(
            '%s failed, %s credits back',
            demo.n(count(*)), demo.n(coalesce(sum(j.credits_refunded), 0))
        )
        from public.video_jobs as j where j.error_code = 'provider_error'
    ) as happened,
    (
        select sum(j.credits_refunded)
        from public.video_jobs as j where j.error_code = 'provider_error'
    ) as credits
from demo.calls as c where c.call = 'fail_video_job' and c.scene = 'videos';

select
    null as at,
    format('fal does not answer %s in time', demo.n(count(*), 'request')) as asked,
    format('cron: timed_out, %s credits back', demo.n(coalesce(sum(j.credits_refunded), 0)))
        as happened,
    sum(j.credits_refunded) as credits
from public.video_jobs as j where j.error_code = 'timed_out';

select
    null as at,
    format('fal delivers %s of these after all', demo.n(count(*))) as asked,
    format(
        '%s kept, nothing charged',
        (
            select demo.n(count(*), 'video')
            from public.provider_jobs as p where p.outcome = 'succeeded'
        )
    ) as happened,
    0 as credits
from demo.calls as c where c.call = 'complete_video_job' and c.scene = 'late';

select
    null as at,
    (select demo.n(count(*), 'call') from demo.calls as c where c.who <> 'cron') as asked,
    format('left on %s', demo.n(count(*), 'account')) as happened,
    sum(u.credits_remaining) as credits
from public.users as u;
