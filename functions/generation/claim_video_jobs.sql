-- Locks: the claimed jobs' rows, skipping what others hold, so two workers never wait for each
-- other and never get the same job. A job that a worker claimed and never started comes back when
-- its lease ends, with a higher attempt, so that the late worker can be told.
create or replace function public.claim_video_jobs(
    p_worker text,
    p_limit integer default 10,
    p_lease interval default '2 minutes'
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_jobs jsonb;
begin
    perform rendio.require_service();
    perform rendio.check_text(p_worker, 'p_worker', 255);
    perform rendio.check_page(p_limit);
    if p_lease is null or p_lease <= interval '0' or p_lease > interval '1 day' then
        perform rendio.raise_invalid('p_lease', 'more than 0, at most 1 day');
    end if;

    with next_jobs as (
        select j.user_id, j.job_id
        from public.video_jobs as j
        where j.status = 'pending'
            and j.times_out_at > v_now
            and (j.lease_expires_at is null or j.lease_expires_at <= v_now)
        order by j.times_out_at
        limit p_limit
        for no key update skip locked
    ),

    claimed as (
        update public.video_jobs as j
        set attempt = j.attempt + 1,
            lease_owner = p_worker,
            lease_expires_at = v_now + p_lease
        from next_jobs as n
        where j.user_id = n.user_id and j.job_id = n.job_id
        returning j.*
    )

    select coalesce(
        jsonb_agg(
            jsonb_build_object(
                'user_id', c.user_id,
                'job_id', c.job_id,
                'provider', c.provider,
                'provider_model_id', m.provider_model_id,
                'prompt', c.prompt,
                'settings', c.settings,
                'attempt', c.attempt,
                'lease_expires_at', c.lease_expires_at
            )
            order by c.times_out_at
        ),
        '[]'
    )
    into v_jobs
    from claimed as c
    left join public.models as m on m.id = c.model_id;

    return jsonb_build_object('jobs', v_jobs);
end;
$$;

comment on function public.claim_video_jobs(text, integer, interval) is
$$Hand up to p_limit waiting jobs to a worker, oldest first, each to one worker only.

p_worker: the worker's name, for people who look at its leases.
p_limit: 1 to 100.
p_lease: how long the worker has to call start_video_job, up to a day; afterwards another worker
may claim the job, with a higher attempt. Pass the attempt on to start_video_job.

@returns {jobs: [claimed_job]}
@shape claimed_job {user_id: uuid, job_id: uuid, provider: text, provider_model_id: text?,
    prompt: text, settings: jsonb, attempt: integer, lease_expires_at: timestamptz}
@raises PT400 invalid_argument
@raises PT403 service_only
@raises PT413 payload_too_large$$;

revoke execute on function public.claim_video_jobs(text, integer, interval)
from public, anon, authenticated;
grant execute on function public.claim_video_jobs(text, integer, interval) to service_role;
