-- Locks: the caller holds the transaction's claim; then the buyer's row. Without a token of ours
-- the buyer is not known yet, and will be whoever brings the signed transaction.
create or replace function rendio.apply_charge(
    p_notification public.store_notifications,
    p_claim public.iap_transactions,
    p_at timestamptz
)
returns public.store_notifications
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_done public.store_notifications := p_notification;
    v_payload jsonb := p_notification.payload;
    v_token text := lower(v_payload ->> 'appAccountToken');
    v_quantity bigint := rendio.payload_number(v_payload, 'quantity', 100);
    v_purchased bigint := rendio.payload_number(v_payload, 'purchaseDate', 253402300799999);
    v_user_id uuid;
begin
    if p_claim.user_id is not null then
        v_done.action := 'already_credited';
        return v_done;
    end if;
    perform rendio.check_text(v_payload ->> 'productId', 'p_payload', 255);
    if v_token ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
        select u.id into v_user_id from public.users as u where u.id = v_token::uuid;
    end if;
    if v_user_id is not null then
        v_done.action := 'credited';
        v_done.credits_changed := (
            rendio.credit_purchase(
                p_claim,
                v_user_id,
                v_payload ->> 'productId',
                greatest(coalesce(v_quantity, 1), 1)::integer,
                coalesce(
                    timestamptz 'epoch' + v_purchased * interval '1 millisecond',
                    p_notification.occurred_at
                ),
                p_at
            )
        ).credits_added;
    end if;
    return v_done;
end;
$$;

comment on function rendio.apply_charge(
    public.store_notifications, public.iap_transactions, timestamptz
) is
$$Credit a purchase that the store notified to the user whose appAccountToken it bears; the
notification waits when there is no such user.

@raises PT400 invalid_argument
@raises PT404 product_not_found
@raises PT413 payload_too_large$$;

revoke execute on function rendio.apply_charge(
    public.store_notifications, public.iap_transactions, timestamptz
) from public, anon, authenticated;
