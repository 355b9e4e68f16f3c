-- Locks: the transaction's claim, then the user's row. A purchase is claimed for ever, by its own
-- id: the store's retries outlive any window of idempotency keys. A replay locks nothing.
create or replace function public.record_iap_purchase(
    p_user_id uuid,
    p_store text,
    p_environment text,
    p_transaction_id text,
    p_product_id text,
    p_purchased_at timestamptz default now(),
    p_app_account_token uuid default null,
    p_quantity integer default 1
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_claim public.iap_transactions;
begin
    perform rendio.require_service();
    perform rendio.check_purchase(
        p_user_id, p_store, p_environment, p_transaction_id, p_product_id, p_purchased_at,
        p_quantity
    );
    if p_app_account_token is not null
        and not rendio.is_same_person(p_app_account_token, p_user_id) then
        perform rendio.raise_foreign_purchase(p_transaction_id);
    end if;

    select * into v_claim
    from public.iap_transactions as t
    where t.store = p_store
        and t.environment = p_environment
        and t.transaction_id = p_transaction_id;
    if v_claim.user_id is null then
        v_claim := rendio.claim_transaction(p_store, p_environment, p_transaction_id, v_now);
    end if;
    if v_claim.user_id is not null then
        return rendio.replay_purchase(v_claim, p_user_id, p_product_id);
    end if;

    v_claim := rendio.credit_purchase(
        v_claim, p_user_id, p_product_id, p_quantity, p_purchased_at, v_now
    );
    return jsonb_build_object(
        'credits_added', v_claim.credits_added,
        'credits_remaining', rendio.balance_of(p_user_id),
        'replayed', false
    );
end;
$$;

comment on function public.record_iap_purchase(
    uuid, text, text, text, text, timestamptz, uuid, integer
) is
$$Credit a purchase that a store has confirmed; the caller has verified the signed transaction.

Safe to repeat for ever: a transaction that was credited answers replayed true. A sandbox purchase
is credited as far as the setting sandbox_purchases allows and may bring 0. One that the store has
taken back already is credited and taken back; what the user owes for an earlier one is paid first.

p_store: app_store or google_play.
p_environment: Production or Sandbox.
p_product_id: the store's id of the product; the credits come from iap_products, by environment.
p_app_account_token: must be the user or a guest merged into it, when the store gives one.
p_quantity: how many of the product, as the store signed it.

@returns {credits_added: integer, credits_remaining: bigint, replayed: boolean}
@raises PT400 invalid_argument
@raises PT403 service_only
@raises PT404 user_not_found
@raises PT404 product_not_found
@raises PT409 purchase_belongs_to_another_user
@raises PT413 payload_too_large
@raises PT422 idempotency_key_reused$$;

revoke execute on function public.record_iap_purchase(
    uuid, text, text, text, text, timestamptz, uuid, integer
) from public, anon, authenticated;
grant execute on function public.record_iap_purchase(
    uuid, text, text, text, text, timestamptz, uuid, integer
) to service_role;
