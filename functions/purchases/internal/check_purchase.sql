create or replace function rendio.check_purchase(
    p_user_id uuid,
    p_store text,
    p_environment text,
    p_transaction_id text,
    p_product_id text,
    p_purchased_at timestamptz,
    p_quantity integer
)
returns void
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_user_id is null then
        perform rendio.raise_invalid('p_user_id', 'required');
    elsif p_purchased_at is null or not isfinite(p_purchased_at) then
        perform rendio.raise_invalid('p_purchased_at', 'required, finite');
    elsif p_quantity is null or p_quantity not between 1 and 100 then
        perform rendio.raise_invalid('p_quantity', '1 to 100');
    end if;
    perform rendio.check_store(p_store, p_environment);
    perform rendio.check_text(p_transaction_id, 'p_transaction_id', 255);
    perform rendio.check_text(p_product_id, 'p_product_id', 255);
end;
$$;

comment on function rendio.check_purchase(
    uuid, text, text, text, text, timestamptz, integer
) is
$$Refuse a purchase whose arguments are not of the right form.

@raises PT400 invalid_argument
@raises PT413 payload_too_large$$;

revoke execute on function rendio.check_purchase(
    uuid, text, text, text, text, timestamptz, integer
) from public, anon, authenticated;
