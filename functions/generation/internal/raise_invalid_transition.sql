create or replace function rendio.raise_invalid_transition(p_job public.video_jobs, p_hint text)
returns void
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    raise sqlstate 'PT409' using
        message = 'invalid_transition',
        detail = jsonb_build_object(
            'job_id', p_job.job_id, 'status', p_job.status, 'attempt', p_job.attempt
        )::text,
        hint = p_hint;
end;
$$;

comment on function rendio.raise_invalid_transition(public.video_jobs, text) is
$$Refuse a step that the job's state does not allow.

@raises PT409 invalid_transition$$;

revoke execute on function rendio.raise_invalid_transition(public.video_jobs, text)
from public, anon, authenticated;
