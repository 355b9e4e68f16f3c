-- Locks: the jobs it moves, skipping what anybody holds; that is moved by the next run.
-- One statement for each status, oldest time-out first: the index ends the scan at the limit or at
-- the first job that is not old. completed_at alone would need an index of its own, which every
-- generation would open; no time-out is more than a day after its job's end (models_timeout_check).
create or replace function rendio.archive_jobs(p_limit integer default 1000)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before timestamptz := rendio.clock() - interval '90 days';
    v_status rendio.job_status;
    v_moved bigint;
    v_total bigint := 0;
begin
    foreach v_status in array '{completed,failed}'::rendio.job_status[] loop
        with old as (
            select j.user_id, j.job_id
            from public.video_jobs as j
            where j.status = v_status
                and j.times_out_at < v_before
                and j.completed_at < v_before
            order by j.times_out_at
            limit p_limit - v_total
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
        v_total := v_total + v_moved;
    end loop;
    return v_total;
end;
$$;

comment on function rendio.archive_jobs(integer) is
$$Move up to p_limit jobs that ended, and were to time out, more than 90 days ago to the archive;
returns how many. Run by cron.$$;

revoke execute on function rendio.archive_jobs(integer) from public, anon, authenticated;
