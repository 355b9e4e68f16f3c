-- Locks: the jobs it moves, skipping what anybody holds; that is moved by the next run.
create or replace function rendio.archive_jobs(p_limit integer default 1000)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before timestamptz := rendio.clock() - interval '90 days';
    v_moved bigint;
begin
    with old as (
        select j.user_id, j.job_id
        from public.video_jobs as j
        where j.completed_at < v_before
        order by j.completed_at
        limit p_limit
        for update skip locked
    ),

    taken as (
        delete from public.video_jobs as j
        using old as o
        where j.user_id = o.user_id and j.job_id = o.job_id
        returning j.*
    )

    insert into public.video_jobs_archive select * from taken;
    get diagnostics v_moved = row_count;
    return v_moved;
end;
$$;

comment on function rendio.archive_jobs(integer) is
$$Move up to p_limit jobs that ended more than 90 days ago to the archive; returns how many. Run by
cron.$$;

revoke execute on function rendio.archive_jobs(integer) from public, anon, authenticated;
