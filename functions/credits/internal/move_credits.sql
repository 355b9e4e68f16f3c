-- Locks: the guest's row, then the account's. Paid credits pay what the account owes for refunded
-- purchases: buying as a guest and signing in is no way around it.
create or replace function rendio.move_credits(
    p_guest_id uuid,
    p_account_id uuid,
    p_at timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_lots public.credit_grants [];
    v_total bigint;
    v_entry public.quota_log;
begin
    perform from public.users as u where u.id = p_guest_id for no key update;
    perform rendio.settle_expiry(p_guest_id, p_at);
    perform rendio.fold_lots(p_guest_id);
    v_lots := array(
        select g
        from public.credit_grants as g
        where g.user_id = p_guest_id and g.remaining > 0
        order by g.seq, g.n
    );
    v_total := (select sum(g.remaining)::bigint from unnest(v_lots) as g);
    if v_total is null then
        return;
    end if;

    perform rendio.post_entry(p_guest_id, -v_total, 'guest_merge_out', null, p_at);
    v_entry := rendio.post_entry(
        p_account_id, v_total, 'guest_merge_in', null, p_at,
        p_expires_at => (select min(g.expires_at) from unnest(v_lots) as g)
    );
    insert into public.credit_grants (
        user_id, seq, n, priority, kind, is_sandbox, amount, remaining, expires_at, created_at,
        origin
    )
    select
        p_account_id, v_entry.seq, g.ordinality, g.priority, g.kind, g.is_sandbox, g.remaining,
        g.remaining, g.expires_at, v_entry.created_at, g.origin
    from unnest(v_lots) with ordinality as g;
    perform rendio.collect_debts(p_account_id, p_at, v_entry.seq);
end;
$$;

comment on function rendio.move_credits(uuid, uuid, timestamptz) is
$$Move all that a merged guest has to its account, by a pair of ledger entries. The lots stay what
they were: kind, expiry and origin go with the credits.$$;

revoke execute on function rendio.move_credits(uuid, uuid, timestamptz)
from public, anon, authenticated;
