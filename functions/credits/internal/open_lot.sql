create or replace function rendio.open_lot(
    p_user_id uuid,
    p_seq bigint,
    p_amount bigint,
    p_reason text,
    p_at timestamptz,
    p_is_sandbox boolean
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
        user_id, seq, priority, kind, is_sandbox, amount, remaining, created_at
    )
    values (
        p_user_id,
        p_seq,
        case when v_is_paid then 20 else 10 end,
        case when v_is_paid then 'paid' else 'promotional' end,
        p_is_sandbox,
        p_amount,
        p_amount,
        p_at
    );
end;
$$;

comment on function rendio.open_lot(uuid, bigint, bigint, text, timestamptz, boolean) is
$$Open the lot of a ledger entry that brought credits. Promotional credits are spent first.$$;

revoke execute on function rendio.open_lot(uuid, bigint, bigint, text, timestamptz, boolean)
from public, anon, authenticated;
