create or replace function public.get_video_status(p_user_id uuid, p_job_id uuid)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job public.video_jobs;
begin
    perform rendio.require_user(p_user_id);
    if p_job_id is null then
        perform rendio.raise_invalid('p_job_id', 'required');
    end if;
    select * into v_job
    from public.video_jobs as j
    where j.user_id in (select rendio.people_of(p_user_id)) and j.job_id = p_job_id;
    if not found then
        select * into v_job
        from public.video_jobs_archive as j
        where j.user_id in (select rendio.people_of(p_user_id)) and j.job_id = p_job_id;
    end if;
    if not found then
        perform rendio.raise_job_not_found(jsonb_build_object('job_id', p_job_id));
    end if;
    return rendio.job_json(
        v_job, (select m.name from public.models as m where m.id = v_job.model_id)
    );
end;
$$;

comment on function public.get_video_status(uuid, uuid) is
$$One job, also one that was taken off the list.

@returns job
@raises PT400 invalid_argument
@raises PT401 not_authenticated
@raises PT403 not_your_account
@raises PT404 job_not_found$$;

revoke execute on function public.get_video_status(uuid, uuid) from public, anon, authenticated;
grant execute on function public.get_video_status(uuid, uuid) to authenticated, service_role;
