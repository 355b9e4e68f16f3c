-- Locks: the notification's claim.
create or replace function public.answer_consumption_request(
    p_store text,
    p_environment text,
    p_notification_id text
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_is_new boolean;
begin
    perform rendio.require_service();
    perform rendio.check_store(p_store, p_environment);
    perform rendio.check_text(p_notification_id, 'p_notification_id', 255);
    update public.store_notifications as n
    set answered_at = v_now
    where n.store = p_store
        and n.environment = p_environment
        and n.notification_id = p_notification_id
        and n.due_at is not null
        and n.answered_at is null;
    v_is_new := found;
    if not v_is_new and not exists (
        select from public.store_notifications as n
        where n.store = p_store
            and n.environment = p_environment
            and n.notification_id = p_notification_id
            and n.due_at is not null
    ) then
        raise sqlstate 'PT404' using
            message = 'consumption_request_not_found',
            detail = jsonb_build_object(
                'store', p_store,
                'environment', p_environment,
                'notification_id', p_notification_id
            )::text,
            hint = 'Answer what get_consumption_requests lists.';
    end if;
    return jsonb_build_object('answered', true, 'replayed', not v_is_new);
end;
$$;

comment on function public.answer_consumption_request(text, text, text) is
$$Note that a store has been told how much of a purchase was consumed. Safe to repeat.

p_store: app_store or google_play.
p_environment: Production or Sandbox.
p_notification_id: of the request, as get_consumption_requests lists it.

@returns {answered: boolean, replayed: boolean}
@raises PT400 invalid_argument
@raises PT403 service_only
@raises PT404 consumption_request_not_found
@raises PT413 payload_too_large$$;

revoke execute on function public.answer_consumption_request(text, text, text)
from public, anon, authenticated;
grant execute on function public.answer_consumption_request(text, text, text) to service_role;
