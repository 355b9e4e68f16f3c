create or replace function rendio.reconcile_lot_balances(p_from uuid, p_until uuid)
returns setof rendio.discrepancy
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with lots as (
        select g.user_id, sum(g.remaining)::bigint as remaining
        from public.credit_grants as g
        join public.users as o on o.id = g.user_id and g.seq <= o.lots_seq
        where g.user_id between p_from and p_until
        group by g.user_id
    )

    select u.id, 'lots_differ_from_balance', coalesce(q.balance_after, 0), coalesce(g.remaining, 0)
    from public.users as u
    left join public.quota_log as q
        on q.user_id = u.id and q.seq = u.lots_seq and q.user_id between p_from and p_until
    left join lots as g on g.user_id = u.id
    where u.id between p_from and p_until
        and coalesce(q.balance_after, 0) <> coalesce(g.remaining, 0);
end;
$$;

comment on function rendio.reconcile_lot_balances(uuid, uuid) is
$$Where what the lots hold is not the balance after the last entry they account for, of the users
with these ids: lots_differ_from_balance.$$;

revoke execute on function rendio.reconcile_lot_balances(uuid, uuid)
from public, anon, authenticated;
