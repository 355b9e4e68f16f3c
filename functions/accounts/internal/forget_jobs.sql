-- Locks: submissions, then the people's jobs, all of them, and only then the rows in users: guests
-- first, then the account, which what they get back goes on to.
create or replace function rendio.forget_jobs(p_people uuid[], p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job public.video_jobs;
begin
    update public.provider_jobs as p
    set video_url = null, thumbnail_url = null, error_message = null
    where p.user_id = any(p_people)
        and num_nonnulls(p.video_url, p.thumbnail_url, p.error_message) > 0;
    -- A job that a worker claimed and has not started stays with that worker: without its prompt it
    -- is nothing to hand out again.
    update public.video_jobs as j
    set prompt = '',
        settings = '{}',
        video_url = null,
        thumbnail_url = null,
        error_message = null,
        deleted_at = coalesce(j.deleted_at, p_at),
        lease_expires_at = case
            when j.status = 'pending' and j.attempt > 0 then 'infinity' else j.lease_expires_at
        end
    where j.user_id = any(p_people) and j.prompt <> '';
    update public.video_jobs_archive as j
    set prompt = '',
        settings = '{}',
        video_url = null,
        thumbnail_url = null,
        error_message = null,
        deleted_at = coalesce(j.deleted_at, p_at)
    where j.user_id = any(p_people) and j.prompt <> '';

    perform from public.users as u
    where u.id = any(p_people)
    order by u.merged_into is null, u.id
    for no key update;
    for v_job in
        select *
        from public.video_jobs as j
        where j.user_id = any(p_people) and j.status = 'pending' and j.attempt = 0
        order by j.user_id, j.job_id
    loop
        perform rendio.end_failed_job(v_job, 'cancelled', null, p_at);
    end loop;
end;
$$;

comment on function rendio.forget_jobs(uuid[], timestamptz) is
$$Erase what people's jobs say, and cancel those that no worker has taken.$$;

revoke execute on function rendio.forget_jobs(uuid[], timestamptz)
from public, anon, authenticated;
