-- The only way a job fails. The caller holds the job's lock; the compare-and-set on the status
-- makes the refund happen once by construction, also for a caller that forgot.
-- Locks: the job's row (held), then the user's.
create or replace function rendio.end_failed_job(
    p_job public.video_jobs,
    p_error_code text,
    p_error_message text,
    p_at timestamptz,
    p_reason rendio.ledger_reason default 'generation_failed_refund'
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    update public.video_jobs as j
    set status = 'failed',
        error_code = p_error_code,
        error_message = case
            when not rendio.is_deleted(j.user_id) then left(p_error_message, 2000)
        end,
        credits_refunded = j.credits_used,
        completed_at = greatest(p_at, j.created_at),
        lease_owner = null,
        lease_expires_at = null
    where j.user_id = p_job.user_id
        and j.job_id = p_job.job_id
        and j.status in ('pending', 'processing');
    if not found then
        perform rendio.raise_invalid_transition(p_job, 'The job has ended.');
    end if;
    perform rendio.post_entry(
        p_job.user_id, p_job.credits_used, p_reason, p_job.job_id, p_at
    );
    perform rendio.fold_when_behind(p_job.user_id);
    perform rendio.announce_job(p_job.user_id, p_job.job_id, 'failed');
end;
$$;

comment on function rendio.end_failed_job(
    public.video_jobs, text, text, timestamptz, rendio.ledger_reason
) is
$$Fail an active job and give its credits back.

@raises PT409 invalid_transition$$;

revoke execute on function rendio.end_failed_job(
    public.video_jobs, text, text, timestamptz, rendio.ledger_reason
) from public, anon, authenticated;
