create or replace function rendio.notification_json(
    p_notification public.store_notifications,
    p_replayed boolean
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return jsonb_build_object(
        'action', p_notification.action,
        'credits_changed', p_notification.credits_changed,
        'credits_remaining', rendio.balance_of(
            (
                select t.user_id
                from public.iap_transactions as t
                where t.store = p_notification.store
                    and t.environment = p_notification.environment
                    and t.transaction_id = p_notification.transaction_id
            )
        ),
        'replayed', p_replayed
    );
end;
$$;

comment on function rendio.notification_json(public.store_notifications, boolean) is
$$A notification as apply_store_notification answers it, with the buyer's balance of today.$$;

revoke execute on function rendio.notification_json(public.store_notifications, boolean)
from public, anon, authenticated;
