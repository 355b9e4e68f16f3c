-- Locks: the submission's claim, then the job's row. The provider's id is recorded in any case: a
-- submission that nobody wants any more can still send a webhook.
create or replace function public.start_video_job(
    p_user_id uuid,
    p_job_id uuid,
    p_provider_job_id text,
    p_attempt integer default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_job public.video_jobs;
    v_attempt integer;
begin
    perform rendio.require_service();
    perform rendio.check_text(p_provider_job_id, 'p_provider_job_id', 255);
    if p_user_id is null then
        perform rendio.raise_invalid('p_user_id', 'required');
    end if;
    v_attempt := rendio.record_submission(
        p_user_id, p_job_id, p_provider_job_id, p_attempt, v_now
    );

    v_job := rendio.lock_job(p_user_id, p_job_id);
    if v_job.status = 'pending' and v_attempt >= v_job.attempt then
        update public.video_jobs as j
        set status = 'processing',
            attempt = v_attempt,
            provider_job_id = p_provider_job_id,
            started_at = v_now,
            times_out_at = v_now + coalesce(
                (select m.timeout from public.models as m where m.id = v_job.model_id),
                interval '30 minutes'
            ),
            lease_owner = null,
            lease_expires_at = null
        where j.user_id = p_user_id and j.job_id = p_job_id
        returning * into v_job;
        perform rendio.announce_job(v_job.user_id, v_job.job_id, v_job.status);
    end if;

    return jsonb_build_object(
        'job_id', p_job_id,
        'status', v_job.status,
        'attempt', v_job.attempt,
        'current', v_job.status = 'processing' and v_job.provider_job_id = p_provider_job_id
    );
end;
$$;

comment on function public.start_video_job(uuid, uuid, text, integer) is
$$Record that a provider accepted a job, under the provider's id.

Safe to repeat. When current is false another attempt or an end came first: cancel this submission
at the provider. Its id is recorded all the same, and its success would still count.
The model's timeout runs from here.

p_provider_job_id: the provider's id of the submission; its webhook will name it.
p_attempt: from claim_video_jobs; null when the job was submitted without claiming it.

@returns {job_id: uuid, status: text, attempt: integer, current: boolean}
@raises PT400 invalid_argument
@raises PT403 service_only
@raises PT404 job_not_found
@raises PT409 invalid_transition
@raises PT413 payload_too_large$$;

revoke execute on function public.start_video_job(uuid, uuid, text, integer)
from public, anon, authenticated;
grant execute on function public.start_video_job(uuid, uuid, text, integer) to service_role;
