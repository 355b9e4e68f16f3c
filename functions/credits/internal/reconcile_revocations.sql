-- By person, a guest's with the account that took it over: what was taken from the guest before
-- stays in the guest's ledger, and what is owed has moved to the account.
create or replace function rendio.reconcile_revocations(p_from uuid, p_until uuid)
returns setof rendio.discrepancy
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with people as (
        select g.id as user_id, u.id as owner_id
        from public.users as u
        cross join lateral (
            select u.id union all select m.id from public.users as m where m.merged_into = u.id
        ) as g
        where u.id between p_from and p_until and u.merged_into is null
    ),

    taken as (
        select p.owner_id, -sum(q.change)::bigint as credits
        from people as p
        join public.quota_log as q
            on q.user_id = p.user_id and q.reason in ('iap_refund', 'iap_refund_reversed')
        group by p.owner_id
    ),

    recovered as (
        select p.owner_id, sum(r.recovered + r.repaid)::bigint as credits
        from people as p
        join public.purchase_revocations as r on r.user_id = p.user_id
        group by p.owner_id
    ),

    noted as (
        select r.user_id, r.origin, r.revoked
        from people as p
        join public.purchase_revocations as r on r.user_id = p.user_id
    ),

    told as (
        select
            p.owner_id,
            g.origin,
            rendio.revoked_credits(t.credits_added, n.revoked_share) as credits
        from people as p
        join public.iap_transactions as t on t.user_id = p.user_id
        join public.credit_grants as g
            on g.user_id = t.user_id and g.seq = t.ledger_seq and g.n = 1
        cross join lateral rendio.latest_revocation(t) as n
    )

    select
        coalesce(t.owner_id, r.owner_id),
        'revocations_differ_from_ledger',
        coalesce(t.credits, 0)::bigint,
        coalesce(r.credits, 0)::bigint
    from taken as t
    full join recovered as r on r.owner_id = t.owner_id
    where coalesce(t.credits, 0) <> coalesce(r.credits, 0)
    union all
    select
        coalesce(t.owner_id, r.user_id),
        'revocation_differs_from_notification',
        coalesce(t.credits, 0)::bigint,
        coalesce(r.revoked, 0)::bigint
    from told as t
    full join noted as r on r.user_id = t.owner_id and r.origin = t.origin
    where coalesce(t.credits, 0) <> coalesce(r.revoked, 0);
end;
$$;

comment on function rendio.reconcile_revocations(uuid, uuid) is
$$Where purchases that a store took back do not agree, of the people with these ids:
revocations_differ_from_ledger (what was taken for them), revocation_differs_from_notification (what
the store last said).$$;

revoke execute on function rendio.reconcile_revocations(uuid, uuid)
from public, anon, authenticated;
