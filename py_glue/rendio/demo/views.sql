-- Every job, wherever archive_jobs() has put it.
create view demo.jobs as
select * from public.video_jobs
union all
select * from public.video_jobs_archive;
comment on view demo.jobs is 'The jobs, archived ones too.';

-- Which call brought each entry of the ledger.
create view demo.ledger as
select q.*, c.scene
from public.quota_log as q
left join lateral (
    select c.scene
    from demo.calls as c
    where c.user_id = q.user_id
        and c.error is null
        and case
            when q.job_id is not null then c.job_id = q.job_id
            else c.call = case q.reason
                when 'initial_grant' then 'device_check'
                when 'iap_purchase' then 'record_iap_purchase'
                when 'promo_grant' then 'add_credits'
            end
        end
    order by c.n
    limit 1
) as c on true;
comment on view demo.ledger is 'The ledger, each entry with the scene that brought it.';

-- One row per scene: what its calls were answered, and what tables and ledger say of it.
create view demo.scenes as
with calls as (
    select
        c.scene,
        to_char(min(c.at), 'HH24:MI') as at,
        count(*) filter (where c.call = 'generate_video_atomic') as requests,
        count(*) filter (where c.answer ->> 'replayed' = 'true') as replays,
        count(*) filter (where c.error is not null) as refused,
        count(*) filter (where c.call in ('complete_video_job', 'fail_video_job')) as webhooks,
        count(*) filter (where c.call = 'device_check') as visits,
        count(distinct c.subject) filter (where c.call = 'device_check') as devices,
        count(*) filter (where c.call = 'record_iap_purchase') as receipts,
        count(*) filter (where c.call = 'add_credits') as grants
    from demo.calls as c
    group by c.scene
),

jobs as (
    select
        c.scene,
        count(*) as jobs,
        count(*) filter (where j.status = 'completed') as completed,
        count(*) filter (where j.status = 'failed') as failed,
        string_agg(distinct j.error_code, ', ') as error_code,
        max(j.attempt) as attempts,
        sum(j.credits_used) as price,
        sum(j.credits_refunded) as given_back
    from public.video_jobs as j
    inner join (select distinct scene, job_id from demo.calls) as c on c.job_id = j.job_id
    group by c.scene
),

ledger as (
    select l.scene, count(*) as entries, sum(l.change)::bigint as credits
    from demo.ledger as l
    group by l.scene
)

select
    c.*,
    coalesce(j.jobs, 0) as jobs,
    coalesce(j.completed, 0) as completed,
    coalesce(j.failed, 0) as failed,
    j.error_code,
    j.attempts,
    j.price,
    coalesce(j.given_back, 0) as given_back,
    coalesce(l.entries, 0) as entries,
    coalesce(l.credits, 0) as credits
from calls as c
left join jobs as j on j.scene = c.scene
left join ledger as l on l.scene = c.scene;
comment on view demo.scenes is 'What each scene asked for, what happened and what it cost.';
