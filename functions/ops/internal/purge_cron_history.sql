-- Runs as the role whose job it is: pg_cron's row security shows each role its own runs only.
create or replace function rendio.purge_cron_history()
returns bigint
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_deleted bigint := 0;
begin
    if to_regclass('cron.job_run_details') is not null then
        execute 'delete from cron.job_run_details where end_time < $1'
        using rendio.clock() - interval '7 days';
        get diagnostics v_deleted = row_count;
    end if;
    return v_deleted;
end;
$$;

comment on function rendio.purge_cron_history() is
$$Delete pg_cron's records of runs older than 7 days, which it keeps for ever by itself; returns
how many. Run by cron.$$;

revoke execute on function rendio.purge_cron_history() from public, anon, authenticated;
