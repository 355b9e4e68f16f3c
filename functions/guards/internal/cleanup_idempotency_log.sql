-- Skips keys that a caller is replacing at this moment, so it never waits and is never waited for.
create or replace function rendio.cleanup_idempotency_log(p_limit integer default 500000)
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
    delete from public.idempotency_log as l
    using (
        select e.ctid
        from public.idempotency_log as e
        where e.expires_at <= v_now
        limit p_limit
        for update skip locked
    ) as expired
    where l.ctid = expired.ctid;
    get diagnostics v_deleted = row_count;
    return v_deleted;
end;
$$;

comment on function rendio.cleanup_idempotency_log(integer) is
$$Delete up to p_limit expired idempotency keys; returns how many. Run hourly by cron.$$;

revoke execute on function rendio.cleanup_idempotency_log(integer)
from public, anon, authenticated;
