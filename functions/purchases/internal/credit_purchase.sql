-- Locks: the caller holds the transaction's claim; then the user's row. What the store took back
-- before the purchase was reported here is taken at once, and what the buyer owes is paid by
-- rendio.post_entry.
create or replace function rendio.credit_purchase(
    p_claim public.iap_transactions,
    p_user_id uuid,
    p_product_id text,
    p_quantity integer,
    p_purchased_at timestamptz,
    p_at timestamptz
)
returns public.iap_transactions
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_is_sandbox boolean := p_claim.environment = 'Sandbox';
    v_credits integer;
    v_claim public.iap_transactions;
begin
    v_credits := p_quantity * (
        select p.credits
        from public.iap_products as p
        where p.store = p_claim.store
            and p.environment = p_claim.environment
            and p.product_id = p_product_id
            and p.is_available
    );
    if v_credits is null then
        raise sqlstate 'PT404' using
            message = 'product_not_found',
            detail = jsonb_build_object(
                'store', p_claim.store,
                'environment', p_claim.environment,
                'product_id', p_product_id
            )::text,
            hint = 'Add the product to iap_products.';
    elsif v_credits > 1000000 then
        perform rendio.raise_invalid('p_quantity', 'up to 1000000 credits in all');
    end if;

    if v_is_sandbox then
        v_credits := rendio.sandbox_allowance(p_user_id, v_credits);
    end if;
    v_claim := p_claim;
    if v_credits > 0 then
        v_claim.ledger_seq := (
            rendio.post_entry(p_user_id, v_credits, 'iap_purchase', null, p_at, v_is_sandbox)
        ).seq;
    end if;
    update public.iap_transactions as t
    set user_id = p_user_id,
        product_id = p_product_id,
        quantity = p_quantity,
        purchased_at = p_purchased_at,
        credits_added = v_credits,
        ledger_seq = v_claim.ledger_seq
    where t.store = p_claim.store
        and t.environment = p_claim.environment
        and t.transaction_id = p_claim.transaction_id
    returning * into v_claim;
    perform rendio.settle_revocation(v_claim, p_at);
    return v_claim;
end;
$$;

comment on function rendio.credit_purchase(
    public.iap_transactions, uuid, text, integer, timestamptz, timestamptz
) is
$$Give a transaction its buyer and the buyer its credits; returns the transaction as it is then.

@raises PT400 invalid_argument
@raises PT404 user_not_found
@raises PT404 product_not_found$$;

revoke execute on function rendio.credit_purchase(
    public.iap_transactions, uuid, text, integer, timestamptz, timestamptz
) from public, anon, authenticated;
