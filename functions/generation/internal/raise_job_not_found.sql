create or replace function rendio.raise_job_not_found(p_detail jsonb)
returns void
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    raise sqlstate 'PT404' using
        message = 'job_not_found',
        detail = p_detail::text,
        hint = 'Check the id and whose job it is; a webhook needs start_video_job first.';
end;
$$;

comment on function rendio.raise_job_not_found(jsonb) is
$$Refuse a job that does not exist for this caller.

@raises PT404 job_not_found$$;

revoke execute on function rendio.raise_job_not_found(jsonb) from public, anon, authenticated;
