-- Locks: the person's jobs, then, to refund one, its row in users.
create or replace function rendio.forget_jobs(p_user_id uuid, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job public.video_jobs;
begin
    foreach v_job in array array(
        select j
        from public.video_jobs as j
        where j.user_id = p_user_id and j.status in ('pending', 'processing')
        order by j.job_id
        for no key update
    ) loop
        if v_job.status = 'pending' and v_job.attempt = 0 then
            perform rendio.end_failed_job(v_job, 'cancelled', null, p_at);
        end if;
    end loop;

    update public.video_jobs as j
    set prompt = '',
        settings = '{}',
        video_url = null,
        thumbnail_url = null,
        error_message = null,
        deleted_at = coalesce(j.deleted_at, p_at)
    where j.user_id = p_user_id;
    update public.video_jobs_archive as j
    set prompt = '',
        settings = '{}',
        video_url = null,
        thumbnail_url = null,
        error_message = null,
        deleted_at = coalesce(j.deleted_at, p_at)
    where j.user_id = p_user_id;
    update public.provider_jobs as p
    set video_url = null, thumbnail_url = null, error_message = null
    where p.user_id = p_user_id;
end;
$$;

comment on function rendio.forget_jobs(uuid, timestamptz) is
$$Cancel what of a person's jobs no worker has taken, and erase what all of them say.$$;

revoke execute on function rendio.forget_jobs(uuid, timestamptz)
from public, anon, authenticated;
