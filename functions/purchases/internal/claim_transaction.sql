-- Locks: the transaction's claim. A purchase and the notifications about it queue here, so each
-- sees what the others did, whoever comes first.
create or replace function rendio.claim_transaction(
    p_store text,
    p_environment text,
    p_transaction_id text,
    p_at timestamptz
)
returns public.iap_transactions
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_claim public.iap_transactions;
begin
    insert into public.iap_transactions (store, environment, transaction_id, created_at)
    values (p_store, p_environment, p_transaction_id, p_at)
    on conflict do nothing
    returning * into v_claim;
    if not found then
        select * into strict v_claim
        from public.iap_transactions as t
        where t.store = p_store
            and t.environment = p_environment
            and t.transaction_id = p_transaction_id
        for no key update;
    end if;
    return v_claim;
end;
$$;

comment on function rendio.claim_transaction(text, text, text, timestamptz) is
$$Lock a store's transaction, making its row when nobody has named it before.$$;

revoke execute on function rendio.claim_transaction(text, text, text, timestamptz)
from public, anon, authenticated;
