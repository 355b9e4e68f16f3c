create or replace function rendio.reconcile_chain(p_from uuid, p_until uuid)
returns setof rendio.discrepancy
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with chain as (
        select
            q.user_id,
            q.seq,
            q.created_at,
            q.change,
            q.balance_after,
            lag(q.seq, 1, 0::bigint) over w as previous_seq,
            lag(q.created_at, 1, '-infinity') over w as previous_at,
            lag(q.balance_after, 1, 0::bigint) over w as previous_balance
        from public.quota_log as q
        where q.user_id between p_from and p_until
        window w as (partition by q.user_id order by q.seq)
    )

    select e.user_id, c.problem, c.expected, c.actual
    from chain as e
    cross join lateral (
        values
        ('ledger_entry_missing', e.previous_seq + 1, e.seq, e.seq <> e.previous_seq + 1),
        (
            'balance_after_differs_from_chain', e.previous_balance + e.change, e.balance_after,
            e.balance_after <> e.previous_balance + e.change
        ),
        ('ledger_time_runs_backwards', e.previous_seq, e.seq, e.created_at < e.previous_at)
    ) as c (problem, expected, actual, is_found)
    where c.is_found;
end;
$$;

comment on function rendio.reconcile_chain(uuid, uuid) is
$$Where an entry does not follow from the one before it, in the ledgers of these ids.

ledger_entry_missing, with the numbers that were due and found; balance_after_differs_from_chain;
ledger_time_runs_backwards, with the numbers of both entries.$$;

revoke execute on function rendio.reconcile_chain(uuid, uuid) from public, anon, authenticated;
