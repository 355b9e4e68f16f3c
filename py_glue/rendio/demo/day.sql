-- The table of the day: each query tells when, what was asked, what happened and what it cost.
select
    s.at,
    format('%s open the app %s', demo.n(s.devices, 'guest'), demo.n(s.visits, 'time')) as asked,
    format(
        '%s, %s each',
        demo.n(s.entries, 'account'), demo.n(s.credits / nullif(s.entries, 0), 'credit')
    ) as happened,
    s.credits
from demo.scenes as s where s.scene = 'guests';

select
    s.at,
    format('Mia asks for %s', demo.n(s.requests, 'video')) as asked,
    format('%s, %s completed', demo.n(s.jobs, 'job'), s.completed) as happened,
    s.credits
from demo.scenes as s where s.scene = 'plain';

select
    s.at,
    format('Ben asks %s: the first answer was lost', demo.n(s.requests, 'time')) as asked,
    format('%s, %s', demo.n(s.jobs, 'job'), demo.n(s.replays, 'replay')) as happened,
    s.credits
from demo.scenes as s where s.scene = 'lost';

select
    s.at,
    format('Lena''s iPad sends %s at once', demo.n(s.requests, 'equal request')) as asked,
    format(
        '%s, %s, %s',
        demo.n(s.jobs, 'job'), demo.n(s.replays, 'replay'), demo.n(s.refused, 'error')
    ) as happened,
    s.credits
from demo.scenes as s where s.scene = 'at once';

select
    s.at,
    format('fal reports Omar''s video %s', demo.n(s.webhooks, 'time')) as asked,
    format('%s completed, %s', s.completed, demo.n(s.replays, 'replay')) as happened,
    s.credits
from demo.scenes as s where s.scene = 'twice';

select
    s.at,
    'fal reports before the worker does' as asked,
    format('%s completed, started by the webhook', s.completed) as happened,
    s.credits
from demo.scenes as s where s.scene = 'early';

select
    s.at,
    format('fal answers %s in reverse order', demo.n(s.attempts, 'worker')) as asked,
    format('%s completed, ERROR of attempt %s kept', s.completed, min(p.attempt)) as happened,
    s.credits
from demo.scenes as s
inner join demo.calls as c on c.scene = s.scene and c.call = 'fail_video_job'
inner join public.provider_jobs as p
    on p.provider_job_id = c.subject and p.outcome = 'failed'
where s.scene = 'order'
group by s.at, s.attempts, s.completed, s.credits;

select
    s.at,
    'fal refuses Lena''s prompt' as asked,
    format('%s: %s of %s back', s.error_code, s.given_back, demo.n(s.price, 'credit'))
        as happened,
    s.credits
from demo.scenes as s where s.scene = 'error';

select
    s.at,
    format(
        'fal never answers Omar; timeout %s', demo.n(extract(epoch from m.timeout), 'second')
    ) as asked,
    format('cron: %s, %s of %s back', s.error_code, s.given_back, demo.n(s.price, 'credit'))
        as happened,
    s.credits
from demo.scenes as s
inner join demo.calls as c on c.scene = s.scene and c.call = 'generate_video_atomic'
inner join public.video_jobs as j on j.user_id = c.user_id and j.job_id = c.job_id
inner join public.models as m on m.id = j.model_id
where s.scene = 'silent';

select
    s.at,
    format(
        'Ben has %s, the video costs %s',
        demo.n((c.answer ->> 'available')::numeric, 'credit'), c.answer ->> 'required'
    ) as asked,
    format('refused: %s', c.error) as happened,
    s.credits
from demo.scenes as s
inner join demo.calls as c on c.scene = s.scene
where s.scene = 'broke';

select
    s.at,
    format(
        'Support grants Ben %s, clicks %s',
        demo.n(s.credits, 'credit'), demo.n(s.grants, 'time')
    ) as asked,
    format('%s, %s', demo.n(s.entries, 'grant'), demo.n(s.replays, 'replay')) as happened,
    s.credits
from demo.scenes as s where s.scene = 'grant';

select
    s.at,
    format('Mia''s purchase is reported %s', demo.n(s.receipts, 'time')) as asked,
    format('%s, %s', demo.n(s.entries, 'purchase'), demo.n(s.replays, 'replay')) as happened,
    s.credits
from demo.scenes as s where s.scene = 'purchase';

select
    s.at,
    'fal delivers half of Mia''s video' as asked,
    format(
        '%s completed, %s of %s back',
        s.completed, s.given_back, demo.n(s.price, 'credit')
    ) as happened,
    s.credits
from demo.scenes as s where s.scene = 'partly';

select
    s.at,
    'Omar cancels before a worker takes it' as asked,
    format('%s: %s of %s back', s.error_code, s.given_back, demo.n(s.price, 'credit'))
        as happened,
    s.credits
from demo.scenes as s where s.scene = 'cancelled';

select
    s.at,
    'fal delivers Omar''s refunded video after all' as asked,
    format(
        '%s kept, %s charged',
        demo.n(count(*), 'video'), demo.n(-coalesce(sum(l.change), 0), 'credit')
    ) as happened,
    s.credits
from demo.scenes as s
inner join demo.calls as c on c.scene = s.scene and c.call = 'complete_video_job'
inner join public.provider_jobs as p
    on p.provider_job_id = c.subject and p.outcome = 'succeeded'
left join demo.ledger as l on l.scene = s.scene
where s.scene = 'late'
group by s.at, s.credits;

select
    s.at,
    format('Eve tries %s to credits not hers', demo.n(count(*), 'way')) as asked,
    format('%s refused', s.refused) as happened,
    s.credits
from demo.scenes as s
inner join demo.calls as c on c.scene = s.scene
where s.scene = 'theft'
group by s.at, s.refused, s.credits;

select
    null as at,
    (select demo.n(count(*), 'call') from demo.calls as c where c.who <> 'cron') as asked,
    format('left on %s', demo.n(count(*), 'account')) as happened,
    sum(u.credits_remaining) as credits
from public.users as u;
