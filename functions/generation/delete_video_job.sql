-- Locks: the job's row. Money and status are left alone: a running job ends as it would have.
create or replace function public.delete_video_job(p_user_id uuid, p_job_id uuid)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_job public.video_jobs;
begin
    perform rendio.require_user(p_user_id);
    v_job := rendio.lock_job(p_user_id, p_job_id);
    if v_job.deleted_at is null then
        update public.video_jobs as j
        set deleted_at = v_now
        where j.user_id = v_job.user_id and j.job_id = p_job_id;
        update public.video_jobs_archive as j
        set deleted_at = v_now
        where j.user_id = v_job.user_id and j.job_id = p_job_id;
    end if;
    return jsonb_build_object('job_id', p_job_id, 'deleted', true);
end;
$$;

comment on function public.delete_video_job(uuid, uuid) is
$$Take a job off its user's lists. A running job goes on, and so does its money.

Safe to repeat.

@returns {job_id: uuid, deleted: boolean}
@raises PT400 invalid_argument
@raises PT401 not_authenticated
@raises PT403 not_your_account
@raises PT404 job_not_found$$;

revoke execute on function public.delete_video_job(uuid, uuid) from public, anon, authenticated;
grant execute on function public.delete_video_job(uuid, uuid) to authenticated, service_role;
