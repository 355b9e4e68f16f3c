-- Locks: the caller holds the transaction's claim; then see rendio.settle_revocation.
create or replace function rendio.apply_revocation(
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
begin
    if p_notification.revoked_share is null then
        v_done.action := 'ignored';
    elsif p_notification.notification_id
        <> (rendio.latest_revocation(p_claim)).notification_id then
        v_done.action := 'outdated';
    elsif p_claim.user_id is not null then
        v_done.action := case
            when p_notification.revoked_share > 0 then 'revoked' else 'reversed'
        end;
        v_done.credits_changed := rendio.settle_revocation(p_claim, p_at);
    end if;
    return v_done;
end;
$$;

comment on function rendio.apply_revocation(
    public.store_notifications, public.iap_transactions, timestamptz
) is
$$Do what a refund, or the reversal of one, asks for, unless a later one came before it; without a
buyer it waits.$$;

revoke execute on function rendio.apply_revocation(
    public.store_notifications, public.iap_transactions, timestamptz
) from public, anon, authenticated;
