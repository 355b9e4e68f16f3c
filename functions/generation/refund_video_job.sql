-- Locks: the job's row, then the user's.
create or replace function public.refund_video_job(
    p_user_id uuid,
    p_job_id uuid,
    p_reason text default 'generation_failed_refund'
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job public.video_jobs;
begin
    perform rendio.require_service();
    if p_user_id is null then
        perform rendio.raise_invalid('p_user_id', 'required');
    elsif p_reason is null or p_reason not in ('generation_failed_refund', 'partial_refund') then
        perform rendio.raise_invalid('p_reason', 'generation_failed_refund or partial_refund');
    end if;

    v_job := rendio.lock_job(p_user_id, p_job_id);
    if v_job.status = 'completed' then
        raise sqlstate 'PT409' using
            message = 'job_not_refundable',
            detail = jsonb_build_object('job_id', p_job_id, 'status', v_job.status)::text,
            hint = 'Give credits with add_credits instead.';
    elsif v_job.status <> 'failed' then
        perform rendio.end_failed_job(
            v_job, 'refunded', null, rendio.clock(), p_reason::rendio.ledger_reason
        );
    end if;

    return jsonb_build_object(
        'job_id', p_job_id,
        'credits_refunded', v_job.credits_used,
        'credits_remaining', rendio.balance_of(p_user_id),
        'replayed', v_job.status = 'failed'
    );
end;
$$;

comment on function public.refund_video_job(uuid, uuid, text) is
$$Fail an active job and give its credits back to its owner.

Safe to repeat: a job that has failed, for whatever reason, was refunded then; the answer says so
with replayed true and today's balance.

p_reason: the ledger's reason, generation_failed_refund or partial_refund.

@returns {job_id: uuid, credits_refunded: integer, credits_remaining: bigint, replayed: boolean}
@raises PT400 invalid_argument
@raises PT403 service_only
@raises PT404 job_not_found
@raises PT409 job_not_refundable$$;

revoke execute on function public.refund_video_job(uuid, uuid, text)
from public, anon, authenticated;
grant execute on function public.refund_video_job(uuid, uuid, text) to service_role;
