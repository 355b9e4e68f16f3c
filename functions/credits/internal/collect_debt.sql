-- Locks: the user's row.
create or replace function rendio.collect_debt(
    p_debt public.purchase_revocations,
    p_at timestamptz,
    p_paid_seq bigint
)
returns bigint
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_owed bigint := p_debt.revoked - p_debt.recovered;
    v_left bigint := v_owed;
    v_take bigint;
    v_lot public.credit_grants;
begin
    perform from public.users as u where u.id = p_debt.user_id for no key update;
    perform rendio.settle_expiry(p_debt.user_id, p_at);
    perform rendio.fold_lots(p_debt.user_id);
    for v_lot in
        select *
        from public.credit_grants as g
        where g.user_id = p_debt.user_id
            and g.remaining > 0
            and (
                g.origin = p_debt.origin
                or (p_debt.policy <> 'forgive' and g.seq = p_paid_seq and g.kind = 'paid')
            )
        order by g.origin <> p_debt.origin, g.seq, g.n
    loop
        v_take := least(v_left, v_lot.remaining);
        perform rendio.post_entry(
            p_debt.user_id, -v_take, 'iap_refund', null, p_at, v_lot.is_sandbox,
            p_lot_seq => v_lot.seq, p_lot_n => v_lot.n
        );
        v_left := v_left - v_take;
        exit when v_left = 0;
    end loop;
    return v_owed - v_left;
end;
$$;

comment on function rendio.collect_debt(public.purchase_revocations, timestamptz, bigint) is
$$Take what is owed for one revoked purchase, as far as it is there; returns how much.

p_paid_seq: as for rendio.collect_debts.$$;

revoke execute on function rendio.collect_debt(public.purchase_revocations, timestamptz, bigint)
from public, anon, authenticated;
