-- Locks: none; the caller's update holds the user's row. A user who spends much between two grants
-- is folded here, so that the entries since the checkpoint stay few.
create or replace function rendio.open_lot(
    p_user public.users,
    p_entry public.quota_log,
    p_expires_at timestamptz,
    p_origin uuid
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_is_paid boolean := not p_entry.is_sandbox
        and p_entry.reason in ('iap_purchase', 'iap_refund_reversed');
begin
    insert into public.credit_grants (
        user_id, seq, priority, kind, is_sandbox, amount, remaining, expires_at, created_at, origin
    )
    values (
        p_entry.user_id,
        p_entry.seq,
        case when v_is_paid then 20 else 10 end,
        case when v_is_paid then 'paid' else 'promotional' end,
        p_entry.is_sandbox,
        p_entry.change,
        p_entry.change,
        coalesce(p_expires_at, 'infinity'),
        p_entry.created_at,
        coalesce(p_origin, p_entry.id)
    );
    if p_user.ledger_seq - p_user.lots_seq > 100 then
        perform rendio.fold_lots(p_user.id);
    end if;
end;
$$;

comment on function rendio.open_lot(public.users, public.quota_log, timestamptz, uuid) is
$$Open the lot of the ledger entry that a grant has just written. Promotional credits are spent
first.$$;

revoke execute on function rendio.open_lot(public.users, public.quota_log, timestamptz, uuid)
from public, anon, authenticated;
