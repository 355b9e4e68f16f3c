create or replace function rendio.purge_webhook_events(p_limit integer default 50000)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_before timestamptz := rendio.clock() - interval '90 days';
    v_deleted bigint;
begin
    delete from public.webhook_events as w
    using (
        select e.ctid
        from public.webhook_events as e
        where e.received_at < v_before
        limit p_limit
        for update skip locked
    ) as old
    where w.ctid = old.ctid;
    get diagnostics v_deleted = row_count;
    return v_deleted;
end;
$$;

comment on function rendio.purge_webhook_events(integer) is
$$Delete up to p_limit records of webhooks older than 90 days; returns how many. Run by cron.$$;

revoke execute on function rendio.purge_webhook_events(integer) from public, anon, authenticated;
