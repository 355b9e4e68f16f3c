-- Apple's notificationType values and those of Google's oneTimeProductNotification and
-- voidedPurchaseNotification; none means two things. REVOKE ends what Family Sharing lent.
create or replace function rendio.notification_kind(p_type text)
returns text
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select case
        when p_type in ('ONE_TIME_CHARGE', 'ONE_TIME_PRODUCT_PURCHASED') then 'purchase'
        when p_type in ('REFUND', 'REVOKE', 'VOIDED_PURCHASE') then 'refund'
        when p_type = 'REFUND_REVERSED' then 'reversal'
        when p_type = 'REFUND_DECLINED' then 'declined'
        when p_type = 'CONSUMPTION_REQUEST' then 'consumption'
        when p_type = 'TEST' then 'test'
        else 'other'
    end;
$$;

comment on function rendio.notification_kind(text) is
$$What a store's notification of this type means to us: purchase, refund, reversal, declined,
consumption, test or other.$$;

revoke execute on function rendio.notification_kind(text) from public, anon, authenticated;
