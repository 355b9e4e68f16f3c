-- Locks: the notification's claim, the transaction's, then the buyer's row and its account's.
-- Order of arrival does not matter: what holds is the latest by the store's clock, and a refund
-- that comes before its purchase is applied with it (see rendio.credit_purchase).
create or replace function public.apply_store_notification(
    p_store text,
    p_environment text,
    p_notification_id text,
    p_type text,
    p_transaction_id text,
    p_payload jsonb default '{}',
    p_occurred_at timestamptz default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_occurred_at timestamptz := coalesce(p_occurred_at, v_now);
    v_payload jsonb := coalesce(p_payload, '{}');
    v_kind text := rendio.notification_kind(p_type);
    v_claim public.iap_transactions;
    v_done public.store_notifications;
begin
    perform rendio.require_service();
    perform rendio.check_notification(
        p_store, p_environment, p_notification_id, p_type, p_transaction_id, v_payload,
        v_occurred_at
    );
    insert into public.store_notifications (
        store, environment, notification_id, type, transaction_id, payload, occurred_at,
        received_at, revoked_share, action, due_at
    )
    values (
        p_store, p_environment, p_notification_id, p_type, p_transaction_id, v_payload,
        v_occurred_at, v_now, rendio.revoked_share(v_kind, v_payload),
        case v_kind
            when 'consumption' then 'consumption_requested'
            when 'declined' then 'declined'
            when 'test' then 'test'
            when 'other' then 'ignored'
            else 'waiting'
        end,
        case
            when v_kind = 'consumption'
                then least(v_occurred_at, '9999-12-31') + interval '12 hours'
        end
    )
    on conflict do nothing
    returning * into v_done;
    if not found then
        return rendio.replay_notification(
            p_store, p_environment, p_notification_id, p_type, p_transaction_id
        );
    end if;

    if v_done.action = 'waiting' then
        v_claim := rendio.claim_transaction(p_store, p_environment, p_transaction_id, v_now);
        if v_kind = 'purchase' then
            v_done := rendio.apply_charge(v_done, v_claim, v_now);
        else
            v_done := rendio.apply_revocation(v_done, v_claim, v_now);
        end if;
        update public.store_notifications as n
        set action = v_done.action, credits_changed = v_done.credits_changed
        where n.store = p_store
            and n.environment = p_environment
            and n.notification_id = p_notification_id
            and n.action <> v_done.action;
    end if;
    return rendio.notification_json(v_done, false);
end;
$$;

comment on function public.apply_store_notification(
    text, text, text, text, text, jsonb, timestamptz
) is
$$Apply what a store notified about a purchase: App Store Server Notifications V2, Google Play's
Real-time developer notifications. The caller has verified the signed payload.

Safe to repeat for ever, in any order: the latest refund or reversal by p_occurred_at holds, and one
that comes before its purchase is applied with it. A refund takes what is left of the purchase's
credits; for what was spent the setting refund_shortfall decides.
action is what was done when the notification first came: credited, already_credited, revoked,
reversed, outdated (a later one came before), waiting (nobody has reported the purchase, or its
buyer is unknown), declined, consumption_requested (see get_consumption_requests), test, or ignored
(a type that moves no credits).
credits_remaining is the buyer's today, null while there is none.

p_store: app_store or google_play.
p_environment: Production or Sandbox.
p_notification_id: the store's id: notificationUUID, or the message id.
p_type: as the store spells it; unknown ones are kept and do nothing.
p_transaction_id: the purchase; only a test, or an unknown type, may have none.
p_payload: an object of at most 16 KB, under the names and units of Apple's
JWSTransactionDecodedPayload: productId, appAccountToken, quantity, purchaseDate (ms),
revocationPercentage (50000 is half); for Google's partial refunds voidedQuantity of quantity.
p_occurred_at: when the store signed it; null: now.

@nullable p_transaction_id
@nullable p_payload
@nullable p_occurred_at
@returns {action: text, credits_changed: bigint, credits_remaining: bigint?, replayed: boolean}
@raises PT400 invalid_argument
@raises PT403 service_only
@raises PT404 product_not_found
@raises PT413 payload_too_large
@raises PT422 idempotency_key_reused$$;

revoke execute on function public.apply_store_notification(
    text, text, text, text, text, jsonb, timestamptz
) from public, anon, authenticated;
grant execute on function public.apply_store_notification(
    text, text, text, text, text, jsonb, timestamptz
) to service_role;
