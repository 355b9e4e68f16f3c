create or replace function rendio.latest_revocation(p_claim public.iap_transactions)
returns public.store_notifications
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_latest public.store_notifications;
begin
    select * into v_latest
    from public.store_notifications as n
    where n.store = p_claim.store
        and n.environment = p_claim.environment
        and n.transaction_id = p_claim.transaction_id
        and n.revoked_share is not null
    order by n.occurred_at desc, n.notification_id desc
    limit 1;
    return v_latest;
end;
$$;

comment on function rendio.latest_revocation(public.iap_transactions) is
$$The refund or reversal of a purchase that holds: the latest by the store's clock; of two of one
moment that of the greater id, so that the order in which they came never matters.$$;

revoke execute on function rendio.latest_revocation(public.iap_transactions)
from public, anon, authenticated;
