-- Locks: the submission's claim, by inserting it; a repeated call writes nothing.
-- Reads the job without a lock: its provider never changes, and its attempt only grows.
create or replace function rendio.record_submission(
    p_user_id uuid,
    p_job_id uuid,
    p_provider_job_id text,
    p_attempt integer,
    p_at timestamptz
)
returns integer
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job public.video_jobs;
    v_attempt integer;
    v_submission public.provider_jobs;
begin
    if p_job_id is null then
        perform rendio.raise_invalid('p_job_id', 'required');
    end if;
    select * into v_job
    from public.video_jobs as j
    where j.user_id = p_user_id and j.job_id = p_job_id;
    if not found then
        perform rendio.raise_job_not_found(jsonb_build_object('job_id', p_job_id));
    elsif p_attempt is not null and p_attempt not between 1 and greatest(v_job.attempt, 1) then
        perform rendio.raise_invalid('p_attempt', 'an attempt that claim_video_jobs gave');
    end if;
    v_attempt := coalesce(p_attempt, greatest(v_job.attempt, 1));

    insert into public.provider_jobs (
        provider, provider_job_id, user_id, job_id, attempt, created_at
    )
    values (v_job.provider, p_provider_job_id, p_user_id, p_job_id, v_attempt, p_at)
    on conflict do nothing;
    if found then
        return v_attempt;
    end if;

    select * into v_submission
    from public.provider_jobs as s
    where s.provider = v_job.provider and s.provider_job_id = p_provider_job_id;
    if (v_submission.user_id, v_submission.job_id) is distinct from (p_user_id, p_job_id) then
        perform rendio.raise_invalid_transition(
            v_job, 'The provider''s id is recorded for another job; a provider never reuses one.'
        );
    end if;
    return v_submission.attempt;
end;
$$;

comment on function rendio.record_submission(uuid, uuid, text, integer, timestamptz) is
$$Claim a provider's job id for one of our jobs; returns the attempt it belongs to.

@raises PT400 invalid_argument
@raises PT404 job_not_found
@raises PT409 invalid_transition$$;

revoke execute on function rendio.record_submission(uuid, uuid, text, integer, timestamptz)
from public, anon, authenticated;
