-- Locks: the transaction's claim, then the user's row. A purchase is claimed for ever, by its own
-- id: the store's retries outlive any window of idempotency keys.
create or replace function public.record_iap_purchase(
    p_user_id uuid,
    p_store text,
    p_environment text,
    p_transaction_id text,
    p_product_id text,
    p_purchased_at timestamptz default now(),
    p_app_account_token uuid default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_credits integer;
    v_entry public.quota_log;
begin
    perform rendio.require_service();
    perform rendio.check_purchase(
        p_user_id, p_store, p_environment, p_transaction_id, p_product_id, p_purchased_at
    );
    if p_app_account_token is not null
        and not rendio.is_same_person(p_app_account_token, p_user_id) then
        perform rendio.raise_foreign_purchase(p_transaction_id);
    end if;

    select p.credits into v_credits
    from public.iap_products as p
    where p.store = p_store
        and p.environment = p_environment
        and p.product_id = p_product_id
        and p.is_available;
    insert into public.iap_transactions (
        store, environment, transaction_id, user_id, product_id, credits_added, purchased_at,
        created_at
    )
    values (
        p_store, p_environment, p_transaction_id, p_user_id, p_product_id,
        coalesce(v_credits, 0), p_purchased_at, v_now
    )
    on conflict do nothing;
    if not found then
        return rendio.replay_purchase(
            p_user_id, p_store, p_environment, p_transaction_id, p_product_id
        );
    end if;

    if v_credits is null then
        raise sqlstate 'PT404' using
            message = 'product_not_found',
            detail = jsonb_build_object(
                'store', p_store, 'environment', p_environment, 'product_id', p_product_id
            )::text,
            hint = 'Add the product to iap_products.';
    end if;

    if p_environment = 'Sandbox' then
        v_credits := rendio.sandbox_allowance(p_user_id, v_credits);
    end if;
    if v_credits > 0 then
        v_entry := rendio.post_entry(
            p_user_id, v_credits, 'iap_purchase', null, v_now, p_environment = 'Sandbox'
        );
    end if;
    update public.iap_transactions as t
    set credits_added = v_credits, ledger_seq = v_entry.seq
    where t.store = p_store
        and t.environment = p_environment
        and t.transaction_id = p_transaction_id;

    return jsonb_build_object(
        'credits_added', v_credits,
        'credits_remaining', rendio.balance_of(p_user_id),
        'replayed', false
    );
end;
$$;

comment on function public.record_iap_purchase(
    uuid, text, text, text, text, timestamptz, uuid
) is
$$Credit a purchase that a store has confirmed; the caller has verified the signed transaction.

Safe to repeat for ever: a transaction that was credited answers replayed true. A sandbox purchase
is credited as far as the setting sandbox_purchases allows and may bring 0.

p_store: app_store or google_play.
p_environment: Production or Sandbox.
p_product_id: the store's id of the product; the credits come from iap_products, by environment.
p_app_account_token: must be the user or a guest merged into it, when the store gives one.

@returns {credits_added: integer, credits_remaining: bigint, replayed: boolean}
@raises PT400 invalid_argument
@raises PT403 service_only
@raises PT404 user_not_found
@raises PT404 product_not_found
@raises PT409 purchase_belongs_to_another_user
@raises PT413 payload_too_large
@raises PT422 idempotency_key_reused$$;

revoke execute on function public.record_iap_purchase(
    uuid, text, text, text, text, timestamptz, uuid
) from public, anon, authenticated;
grant execute on function public.record_iap_purchase(
    uuid, text, text, text, text, timestamptz, uuid
) to service_role;
