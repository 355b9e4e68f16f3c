-- Locks: the submission's claim; the job comes after it.
create or replace function rendio.lock_submission(
    p_provider text,
    p_provider_job_id text,
    p_event_id text
)
returns public.provider_jobs
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_submission public.provider_jobs;
begin
    perform rendio.check_text(p_provider, 'p_provider', 255);
    perform rendio.check_text(p_provider_job_id, 'p_provider_job_id', 255);
    if p_event_id is not null then
        perform rendio.check_text(p_event_id, 'p_event_id', 255);
    end if;
    select * into v_submission
    from public.provider_jobs as s
    where s.provider = p_provider and s.provider_job_id = p_provider_job_id
    for no key update;
    if not found then
        perform rendio.raise_job_not_found(
            jsonb_build_object('provider', p_provider, 'provider_job_id', p_provider_job_id)
        );
    end if;
    return v_submission;
end;
$$;

comment on function rendio.lock_submission(text, text, text) is
$$The submission that a webhook speaks of, locked, its arguments checked.

@raises PT400 invalid_argument
@raises PT404 job_not_found
@raises PT413 payload_too_large$$;

revoke execute on function rendio.lock_submission(text, text, text)
from public, anon, authenticated;
