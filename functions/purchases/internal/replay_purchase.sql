create or replace function rendio.replay_purchase(
    p_first public.iap_transactions,
    p_user_id uuid,
    p_product_id text
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if not rendio.is_same_person(p_first.user_id, p_user_id)
        and not rendio.is_same_person(p_user_id, p_first.user_id)
    then
        perform rendio.raise_foreign_purchase(p_first.transaction_id);
    elsif p_first.product_id <> p_product_id then
        raise sqlstate 'PT422' using
            message = 'idempotency_key_reused',
            detail = jsonb_build_object('product_id', p_first.product_id)::text,
            hint = 'This transaction was for another product.';
    end if;
    return jsonb_build_object(
        'credits_added', p_first.credits_added,
        'credits_remaining', rendio.balance_of(p_user_id),
        'replayed', true
    );
end;
$$;

comment on function rendio.replay_purchase(public.iap_transactions, uuid, text) is
$$The answer to a purchase that was recorded before.

@raises PT409 purchase_belongs_to_another_user
@raises PT422 idempotency_key_reused$$;

revoke execute on function rendio.replay_purchase(public.iap_transactions, uuid, text)
from public, anon, authenticated;
