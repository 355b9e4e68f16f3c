-- Passes by rows that a caller is counting on at this moment, so it never waits.
create or replace function rendio.cleanup_rate_limits(p_limit integer default 50000)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_deleted bigint;
begin
    delete from public.rate_limits as r
    using (
        select e.ctid
        from public.rate_limits as e
        where e.full_at <= v_now
        limit p_limit
        for update skip locked
    ) as idle
    where r.ctid = idle.ctid;
    get diagnostics v_deleted = row_count;
    return v_deleted;
end;
$$;

comment on function rendio.cleanup_rate_limits(integer) is
$$Forget up to p_limit callers whose whole allowance is back; returns how many. Run by cron.$$;

revoke execute on function rendio.cleanup_rate_limits(integer) from public, anon, authenticated;
