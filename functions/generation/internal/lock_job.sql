-- Locks: the job's row, before any user's. Whoever holds it decides how the job ends. One in the
-- archive has ended and needs no lock.
create or replace function rendio.lock_job(p_user_id uuid, p_job_id uuid)
returns public.video_jobs
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job public.video_jobs;
begin
    if p_job_id is null then
        perform rendio.raise_invalid('p_job_id', 'required');
    end if;
    select * into v_job
    from public.video_jobs as j
    where j.user_id in (select rendio.people_of(p_user_id)) and j.job_id = p_job_id
    for no key update;
    if not found then
        select * into v_job
        from public.video_jobs_archive as j
        where j.user_id in (select rendio.people_of(p_user_id)) and j.job_id = p_job_id;
    end if;
    if not found then
        perform rendio.raise_job_not_found(jsonb_build_object('job_id', p_job_id));
    end if;
    return v_job;
end;
$$;

comment on function rendio.lock_job(uuid, uuid) is
$$A job of the user or of a guest merged into it, locked for a transition.

@raises PT400 invalid_argument
@raises PT404 job_not_found$$;

revoke execute on function rendio.lock_job(uuid, uuid) from public, anon, authenticated;
