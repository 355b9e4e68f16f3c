-- Locks: none; the caller's update holds the user's row. A user who spends much between two grants
-- is folded here, so that the entries since the checkpoint stay few.
create or replace function rendio.open_lot(
    p_user public.users,
    p_amount bigint,
    p_reason text,
    p_is_sandbox boolean,
    p_expires_at timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_is_paid boolean := p_reason = 'iap_purchase' and not p_is_sandbox;
begin
    insert into public.credit_grants (
        user_id, seq, priority, kind, is_sandbox, amount, remaining, expires_at, created_at
    )
    values (
        p_user.id,
        p_user.ledger_seq,
        case when v_is_paid then 20 else 10 end,
        case when v_is_paid then 'paid' else 'promotional' end,
        p_is_sandbox,
        p_amount,
        p_amount,
        coalesce(p_expires_at, 'infinity'),
        p_user.ledger_at
    );
    if p_user.ledger_seq - p_user.lots_seq > 100 then
        perform rendio.fold_lots(p_user.id);
    end if;
end;
$$;

comment on function rendio.open_lot(public.users, bigint, text, boolean, timestamptz) is
$$Open the lot of the ledger entry that a grant has just written. Promotional credits are spent
first.$$;

revoke execute on function rendio.open_lot(public.users, bigint, text, boolean, timestamptz)
from public, anon, authenticated;
