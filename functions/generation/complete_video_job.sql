-- Locks: the submission's claim, the job's row, then the user's (only when credits go back, or when
-- its lots are to be folded).
-- A webhook never fails on a known job's state, so that the sender stops sending.
create or replace function public.complete_video_job(
    p_provider text,
    p_provider_job_id text,
    p_video_url text,
    p_thumbnail_url text default null,
    p_event_id text default null,
    p_credits_charged integer default null
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
    v_rest integer;
    v_active boolean;
    v_is_kept boolean;
begin
    perform rendio.require_service();
    perform rendio.check_text(p_video_url, 'p_video_url', 2048);
    if length(p_thumbnail_url) > 2048 then
        perform rendio.raise_too_large('p_thumbnail_url', '2048 characters');
    end if;
    v_submission := rendio.lock_submission(p_provider, p_provider_job_id, p_event_id);
    v_job := rendio.lock_job(v_submission.user_id, v_submission.job_id);
    if p_credits_charged not between 0 and v_job.credits_used then
        perform rendio.raise_invalid('p_credits_charged', '0 to the job''s ' || v_job.credits_used);
    end if;
    v_active := v_job.status in ('pending', 'processing');
    v_is_kept := not rendio.is_deleted(v_job.user_id);

    if v_active then
        v_rest := v_job.credits_used - coalesce(p_credits_charged, v_job.credits_used);
        update public.video_jobs as j
        set status = 'completed',
            provider_job_id = p_provider_job_id,
            video_url = case when v_is_kept then p_video_url end,
            thumbnail_url = case when v_is_kept then p_thumbnail_url end,
            credits_refunded = v_rest,
            completed_at = greatest(v_now, j.created_at),
            lease_owner = null,
            lease_expires_at = null
        where j.user_id = v_job.user_id and j.job_id = v_job.job_id
        returning * into v_job;
        if v_rest > 0 then
            perform rendio.post_entry(
                v_job.user_id, v_rest, 'partial_refund', v_job.job_id, v_now
            );
        end if;
        perform rendio.fold_when_behind(v_job.user_id);
        perform rendio.announce_job(v_job.user_id, v_job.job_id, v_job.status);
    elsif v_job.status = 'failed' or v_job.provider_job_id is distinct from p_provider_job_id then
        perform rendio.keep_outcome(
            v_submission, 'succeeded', p_video_url, p_thumbnail_url, null, v_now
        );
    end if;
    perform rendio.record_event(p_provider, p_event_id, p_provider_job_id, 'completed', v_now);

    return jsonb_build_object(
        'job_id', v_job.job_id,
        'status', v_job.status,
        'credits_charged', v_job.credits_used - v_job.credits_refunded,
        'credits_refunded', v_job.credits_refunded,
        'replayed', not v_active
    );
end;
$$;

comment on function public.complete_video_job(text, text, text, text, text, integer) is
$$Complete a job on its provider's success; what the webhook handler calls.

Any attempt's success completes the job.
Safe to repeat: a job that has ended answers its figures with replayed true. A success after a
refund changes nothing and is kept with the submission.

p_event_id: the webhook's id, for the record; money is safe without it.
p_credits_charged: 0 to the job's credits_used; the rest goes back as partial_refund; null charges
all.

@returns {job_id: uuid, status: text, credits_charged: integer, credits_refunded: integer,
    replayed: boolean}
@raises PT400 invalid_argument
@raises PT403 service_only
@raises PT404 job_not_found
@raises PT413 payload_too_large$$;

revoke execute on function public.complete_video_job(text, text, text, text, text, integer)
from public, anon, authenticated;
grant execute on function public.complete_video_job(text, text, text, text, text, integer)
to service_role;
