create or replace function rendio.reconcile_lots(p_from uuid, p_until uuid)
returns setof rendio.discrepancy
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with ledger as (
        select
            q.user_id,
            q.seq,
            q.change,
            rendio.is_refund(q.reason) as is_refund,
            q.change > 0 and not rendio.is_refund(q.reason) as is_grant
        from public.quota_log as q
        where q.user_id between p_from and p_until
    ),

    lots as (
        select g.user_id, g.seq, sum(g.amount)::bigint as amount
        from public.credit_grants as g
        where g.user_id between p_from and p_until
        group by g.user_id, g.seq
    )

    select coalesce(e.user_id, g.user_id), 'lot_differs_from_ledger', e.change::bigint, g.amount
    from ledger as e
    full join lots as g on g.user_id = e.user_id and g.seq = e.seq
    where case
            when e.is_grant then e.change is distinct from g.amount
            when e.is_refund then g.amount > e.change
            else g.amount is not null
        end;
end;
$$;

comment on function rendio.reconcile_lots(uuid, uuid) is
$$Where a lot and the entry that brought it disagree, of the users with these ids:
lot_differs_from_ledger, where null is neither lot nor entry.

A refund may open lots of what it returns, any other credit opens one, a debit none.$$;

revoke execute on function rendio.reconcile_lots(uuid, uuid) from public, anon, authenticated;
