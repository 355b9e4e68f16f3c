-- Locks: the submission's claim, the job's row, then the user's.
-- A webhook never fails on a known job's state, so that the sender stops sending.
create or replace function public.fail_video_job(
    p_provider text,
    p_provider_job_id text,
    p_error text,
    p_event_id text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_submission public.provider_jobs;
    v_job public.video_jobs;
    v_is_current boolean;
    v_failed boolean;
begin
    perform rendio.require_service();
    v_submission := rendio.lock_submission(p_provider, p_provider_job_id, p_event_id);
    v_job := rendio.lock_job(v_submission.user_id, v_submission.job_id);
    v_is_current := v_job.provider_job_id is not distinct from p_provider_job_id;
    v_failed := v_is_current and v_job.status = 'processing';

    if v_failed then
        perform rendio.end_failed_job(v_job, 'provider_error', p_error, v_now);
        v_job.status := 'failed';
        v_job.credits_refunded := v_job.credits_used;
    elsif not v_is_current then
        perform rendio.keep_outcome(v_submission, 'failed', null, null, p_error, v_now);
    end if;
    perform rendio.record_event(p_provider, p_event_id, p_provider_job_id, 'failed', v_now);

    return jsonb_build_object(
        'job_id', v_job.job_id,
        'status', v_job.status,
        'credits_refunded', v_job.credits_refunded,
        'replayed', not v_failed
    );
end;
$$;

comment on function public.fail_video_job(text, text, text, text) is
$$Fail a job on its provider's failure and give the credits back; what the webhook handler calls.

Only the current attempt's failure fails the job.
Safe to repeat: where nothing changed, the job's figures come back with replayed true.

p_error: what the provider said, cut at 2,000 characters; null when it said nothing.
p_event_id: the webhook's id, for the record; money is safe without it.

@nullable p_error
@returns {job_id: uuid, status: text, credits_refunded: integer, replayed: boolean}
@raises PT400 invalid_argument
@raises PT403 service_only
@raises PT404 job_not_found
@raises PT413 payload_too_large$$;

revoke execute on function public.fail_video_job(text, text, text, text)
from public, anon, authenticated;
grant execute on function public.fail_video_job(text, text, text, text) to service_role;
