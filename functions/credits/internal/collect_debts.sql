-- Locks: the user's row. Called with whatever brings credits to a user who may owe some: a refund
-- that returns to a revoked purchase's lots (rule 5 of the lots: it goes out again in the same
-- transaction), a purchase, a merge. Lots are folded between two debts, so that both see the same.
create or replace function rendio.collect_debts(
    p_user_id uuid,
    p_at timestamptz,
    p_paid_seq bigint default null
)
returns bigint
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_debt public.purchase_revocations;
    v_total bigint := 0;
begin
    for v_debt in
        select *
        from public.purchase_revocations as r
        where r.user_id = p_user_id and r.recovered + r.repaid < r.revoked
        order by r.created_at, r.origin
    loop
        v_total := v_total + rendio.collect_debt(v_debt, p_at, p_paid_seq);
    end loop;
    if found then
        perform rendio.set_blocked(p_user_id);
    end if;
    return v_total;
end;
$$;

comment on function rendio.collect_debts(uuid, timestamptz, bigint) is
$$Take what a user owes for revoked purchases as far as it is there; returns how much.

p_paid_seq: the ledger entry whose paid lots pay any debt; null: only what is left of revoked
purchases is taken.$$;

revoke execute on function rendio.collect_debts(uuid, timestamptz, bigint)
from public, anon, authenticated;
