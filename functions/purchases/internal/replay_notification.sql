create or replace function rendio.replay_notification(
    p_store text,
    p_environment text,
    p_notification_id text,
    p_type text,
    p_transaction_id text
)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_first public.store_notifications;
begin
    select * into strict v_first
    from public.store_notifications as n
    where n.store = p_store
        and n.environment = p_environment
        and n.notification_id = p_notification_id;
    if (v_first.type, v_first.transaction_id) is distinct from (p_type, p_transaction_id) then
        raise sqlstate 'PT422' using
            message = 'idempotency_key_reused',
            detail = jsonb_build_object(
                'type', v_first.type, 'transaction_id', v_first.transaction_id
            )::text,
            hint = 'This notification was of another type, or about another transaction.';
    end if;
    return rendio.notification_json(v_first, true);
end;
$$;

comment on function rendio.replay_notification(text, text, text, text, text) is
$$The answer to a notification that was received before.

@raises PT422 idempotency_key_reused$$;

revoke execute on function rendio.replay_notification(text, text, text, text, text)
from public, anon, authenticated;
