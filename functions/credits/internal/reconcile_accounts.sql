create or replace function rendio.reconcile_accounts(p_from uuid, p_until uuid)
returns setof rendio.discrepancy
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with times as (
        select q.user_id, min(q.created_at) as first_at, max(q.created_at) as last_at
        from public.quota_log as q
        where q.user_id between p_from and p_until
        group by q.user_id
    ),

    ends as (
        select g.user_id, min(g.expires_at) as expires_at
        from public.credit_grants as g
        where g.user_id between p_from and p_until and g.remaining > 0
        group by g.user_id
    ),

    debts as (
        select
            r.user_id,
            sum(greatest(0, r.revoked - r.recovered - r.repaid - r.waived))::bigint as credits
        from public.purchase_revocations as r
        where r.user_id between p_from and p_until and r.policy = 'block'
        group by r.user_id
    )

    select u.id, c.problem, 0::bigint, c.actual
    from public.users as u
    left join times as t on t.user_id = u.id
    left join ends as e on e.user_id = u.id
    left join debts as d on d.user_id = u.id
    cross join lateral (
        values
        (
            'closed_account_holds_credits', u.credits_remaining::bigint,
            u.credits_remaining <> 0 and (u.merged_into is not null or u.deleted_at is not null)
        ),
        (
            'blocked_differs_from_debts', coalesce(d.credits, 0),
            u.is_blocked <> (coalesce(d.credits, 0) > 0)
        ),
        ('expiry_is_not_watched', u.credits_remaining, e.expires_at < u.next_expiry_at),
        (
            'ledger_outside_of_its_times', u.ledger_seq,
            t.first_at < u.created_at or t.last_at > u.ledger_at
        )
    ) as c (problem, actual, is_found)
    where u.id between p_from and p_until and c.is_found;
end;
$$;

comment on function rendio.reconcile_accounts(uuid, uuid) is
$$Where an account's state contradicts its ledger, lots or debts, of the users with these ids.

closed_account_holds_credits; blocked_differs_from_debts, with what is owed under the policy block;
expiry_is_not_watched: a lot ends before next_expiry_at; ledger_outside_of_its_times: an entry is
older than the account or younger than ledger_at.$$;

revoke execute on function rendio.reconcile_accounts(uuid, uuid) from public, anon, authenticated;
