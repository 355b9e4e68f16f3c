-- Ten minutes, as in rendio.health(): the sweeper runs every minute and takes 500 at a time.
create or replace function rendio.reconcile_holds(p_from uuid, p_until uuid)
returns setof rendio.discrepancy
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_overdue timestamptz := rendio.clock() - interval '10 minutes';
begin
    return query
    select j.user_id, 'hold_older_than_sweep', 0::bigint, j.credits_used::bigint
    from public.video_jobs as j
    where j.user_id between p_from and p_until
        and j.status in ('pending', 'processing')
        and j.times_out_at < v_overdue;
end;
$$;

comment on function rendio.reconcile_holds(uuid, uuid) is
$$Credits that a job still holds ten minutes after its time was over, of the users with these ids:
hold_older_than_sweep.$$;

revoke execute on function rendio.reconcile_holds(uuid, uuid) from public, anon, authenticated;
