create or replace function rendio.reconcile_balances(p_from uuid, p_until uuid)
returns setof rendio.discrepancy
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with totals as (
        select
            q.user_id,
            max(q.seq) as last_seq,
            sum(q.change)::bigint as balance,
            coalesce(
                sum(q.change) filter (where q.change > 0 and not rendio.is_refund(q.reason)), 0
            )::bigint as granted
        from public.quota_log as q
        where q.user_id between p_from and p_until
        group by q.user_id
    ),

    accounts as (
        select * from public.users as u where u.id between p_from and p_until
    )

    select coalesce(a.id, t.user_id), c.problem, c.expected, c.actual
    from accounts as a
    full join totals as t on t.user_id = a.id
    cross join lateral (
        values
        ('ledger_without_account', a.credits_remaining::bigint, t.balance, a.id is null),
        (
            'balance_differs_from_ledger', coalesce(t.balance, 0), a.credits_remaining,
            a.credits_remaining <> coalesce(t.balance, 0)
        ),
        (
            'credits_total_differs_from_ledger', coalesce(t.granted, 0), a.credits_total,
            a.credits_total <> coalesce(t.granted, 0)
        ),
        (
            'ledger_seq_differs_from_ledger', coalesce(t.last_seq, 0), a.ledger_seq,
            a.ledger_seq <> coalesce(t.last_seq, 0)
        )
    ) as c (problem, expected, actual, is_found)
    where c.is_found;
end;
$$;

comment on function rendio.reconcile_balances(uuid, uuid) is
$$Where an account and the sums of its ledger disagree, of the users with these ids.

ledger_without_account, balance_differs_from_ledger, credits_total_differs_from_ledger,
ledger_seq_differs_from_ledger.$$;

revoke execute on function rendio.reconcile_balances(uuid, uuid) from public, anon, authenticated;
