-- Locks: the user's row. The purchase's own credits are taken first, down to the last; others pay
-- only what has not been waived: those paid for just now, and those of other purchases that a store
-- has taken back. What of the latter comes back was lent by another purchase, which paid their
-- debt: kept, it would outlive the refund of both.
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
    v_owed bigint := p_debt.revoked - p_debt.recovered - p_debt.repaid;
    v_recovered bigint := 0;
    v_repaid bigint := 0;
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
                or (
                    p_debt.policy <> 'forgive'
                    and g.kind = 'paid'
                    and (
                        g.seq = p_paid_seq
                        or exists (
                            select from public.purchase_revocations as r
                            where r.user_id = g.user_id and r.origin = g.origin
                        )
                    )
                )
            )
        order by g.origin <> p_debt.origin, g.seq, g.n
    loop
        v_take := v_owed - v_recovered - v_repaid;
        if v_lot.origin <> p_debt.origin then
            v_take := v_take - p_debt.waived;
        end if;
        v_take := least(v_take, v_lot.remaining);
        exit when v_take <= 0;
        perform rendio.post_entry(
            p_debt.user_id, -v_take, 'iap_refund', null, p_at, v_lot.is_sandbox,
            p_lot_seq => v_lot.seq, p_lot_n => v_lot.n
        );
        if v_lot.origin = p_debt.origin then
            v_recovered := v_recovered + v_take;
        else
            v_repaid := v_repaid + v_take;
        end if;
    end loop;
    if v_recovered + v_repaid > 0 then
        update public.purchase_revocations as r
        set recovered = r.recovered + v_recovered, repaid = r.repaid + v_repaid
        where r.user_id = p_debt.user_id and r.origin = p_debt.origin;
    end if;
    return v_recovered + v_repaid;
end;
$$;

comment on function rendio.collect_debt(public.purchase_revocations, timestamptz, bigint) is
$$Take what is owed for one revoked purchase, as far as it is there, and note it; returns how much.

p_paid_seq: as for rendio.collect_debts.$$;

revoke execute on function rendio.collect_debt(public.purchase_revocations, timestamptz, bigint)
from public, anon, authenticated;
