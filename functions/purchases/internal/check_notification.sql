create or replace function rendio.check_notification(
    p_store text,
    p_environment text,
    p_notification_id text,
    p_type text,
    p_transaction_id text,
    p_payload jsonb,
    p_occurred_at timestamptz
)
returns void
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    perform rendio.check_store(p_store, p_environment);
    perform rendio.check_text(p_notification_id, 'p_notification_id', 255);
    perform rendio.check_text(p_type, 'p_type', 255);
    if p_transaction_id is not null
        or rendio.notification_kind(p_type) not in ('test', 'other') then
        perform rendio.check_text(p_transaction_id, 'p_transaction_id', 255);
    end if;
    perform rendio.check_object(p_payload, 'p_payload');
    if not isfinite(p_occurred_at) then
        perform rendio.raise_invalid('p_occurred_at', 'finite');
    end if;
end;
$$;

comment on function rendio.check_notification(
    text, text, text, text, text, jsonb, timestamptz
) is
$$Refuse a notification whose arguments are not of the right form.

@raises PT400 invalid_argument
@raises PT413 payload_too_large$$;

revoke execute on function rendio.check_notification(
    text, text, text, text, text, jsonb, timestamptz
) from public, anon, authenticated;
