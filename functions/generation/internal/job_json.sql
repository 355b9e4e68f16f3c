create or replace function rendio.job_json(p_job public.video_jobs, p_model_name text)
returns jsonb
language sql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'job_id', p_job.job_id,
        'model_id', p_job.model_id,
        'model_name', p_model_name,
        'prompt', p_job.prompt,
        'settings', p_job.settings,
        'status', p_job.status,
        'error_code', p_job.error_code,
        'error_message', p_job.error_message,
        'video_url', p_job.video_url,
        'thumbnail_url', p_job.thumbnail_url,
        'credits_used', p_job.credits_used,
        'credits_refunded', p_job.credits_refunded,
        'created_at', p_job.created_at,
        'completed_at', p_job.completed_at
    );
$$;

comment on function rendio.job_json(public.video_jobs, text) is
$$A job as clients see it.

status is pending, processing, completed or failed; error_code of a failed one provider_error,
timed_out, cancelled or refunded.

@shape job {job_id: uuid, model_id: uuid, model_name: text?, prompt: text, settings: jsonb,
    status: text, error_code: text?, error_message: text?, video_url: text?, thumbnail_url: text?,
    credits_used: integer, credits_refunded: integer, created_at: timestamptz,
    completed_at: timestamptz?}$$;

revoke execute on function rendio.job_json(public.video_jobs, text)
from public, anon, authenticated;
