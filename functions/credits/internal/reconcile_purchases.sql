create or replace function rendio.reconcile_purchases(p_from uuid, p_until uuid)
returns setof rendio.discrepancy
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with bought as (
        select t.user_id, t.ledger_seq, t.credits_added, t.environment = 'Sandbox' as is_sandbox
        from public.iap_transactions as t
        where t.user_id between p_from and p_until
    ),

    ledger as (
        select q.user_id, q.seq, q.change, q.is_sandbox
        from public.quota_log as q
        where q.user_id between p_from and p_until
            and q.reason = 'iap_purchase'
    )

    select
        coalesce(t.user_id, e.user_id),
        'purchase_differs_from_ledger',
        coalesce(e.change, 0)::bigint,
        coalesce(t.credits_added, 0)::bigint
    from bought as t
    full join ledger as e on e.user_id = t.user_id and e.seq = t.ledger_seq
    where coalesce(t.credits_added, 0) <> coalesce(e.change, 0)
    union all
    select t.user_id, 'purchase_of_another_environment', e.change::bigint, e.change::bigint
    from bought as t
    join ledger as e on e.user_id = t.user_id and e.seq = t.ledger_seq
    where t.is_sandbox <> e.is_sandbox;
end;
$$;

comment on function rendio.reconcile_purchases(uuid, uuid) is
$$Where a purchase and the entry that it brought disagree, of the users with these ids:
purchase_differs_from_ledger, where 0 is neither purchase nor entry;
purchase_of_another_environment, where one is of the sandbox and the other is not.$$;

revoke execute on function rendio.reconcile_purchases(uuid, uuid) from public, anon, authenticated;
