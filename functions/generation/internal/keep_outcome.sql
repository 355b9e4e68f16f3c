create or replace function rendio.keep_outcome(
    p_submission public.provider_jobs,
    p_outcome text,
    p_video_url text,
    p_thumbnail_url text,
    p_error_message text,
    p_at timestamptz
)
returns void
language sql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
    update public.provider_jobs as s
    set outcome = p_outcome,
        outcome_at = p_at,
        video_url = case when kept then p_video_url end,
        thumbnail_url = case when kept then p_thumbnail_url end,
        error_message = case when kept then left(p_error_message, 2000) end
    from (select not rendio.is_deleted(p_submission.user_id)) as owner (kept)
    where s.provider = p_submission.provider
        and s.provider_job_id = p_submission.provider_job_id
        and (s.outcome is null or (s.outcome = 'failed' and p_outcome = 'succeeded'));
$$;

comment on function rendio.keep_outcome(public.provider_jobs, text, text, text, text, timestamptz)
is
$$Keep what a provider reported when it no longer decides the job. The first report stays, but
a video is worth more than an error before it.$$;

revoke execute on function rendio.keep_outcome(
    public.provider_jobs, text, text, text, text, timestamptz
) from public, anon, authenticated;
