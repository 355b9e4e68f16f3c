create or replace function public.get_consumption_requests(p_limit integer default 20)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
begin
    perform rendio.require_service();
    perform rendio.check_page(p_limit);
    return jsonb_build_object(
        'requests', (
            select coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'store', r.store,
                        'environment', r.environment,
                        'notification_id', r.notification_id,
                        'transaction_id', r.transaction_id,
                        'user_id', r.user_id,
                        'reason', r.reason,
                        'due_at', r.due_at,
                        'customer_consented', true,
                        'credits_added', r.credits_added,
                        'credits_consumed', r.consumed,
                        'consumption_percentage',
                        coalesce(r.consumed * 100000 / nullif(r.credits_added, 0), 0)
                    )
                    order by r.due_at <= v_now, r.due_at, r.notification_id
                ),
                '[]'
            )
            from (
                select n.store, n.environment, n.notification_id, n.transaction_id, t.user_id,
                    n.payload ->> 'consumptionRequestReason' as reason, n.due_at, t.credits_added,
                    rendio.consumed_credits(t) as consumed
                from public.store_notifications as n
                join public.iap_transactions as t using (store, environment, transaction_id)
                where n.answered_at is null
                    and n.due_at is not null
                    and rendio.consents(t.user_id)
                order by n.due_at <= v_now, n.due_at, n.notification_id
                limit p_limit
            ) as r
        )
    );
end;
$$;

comment on function public.get_consumption_requests(integer) is
$$The stores' open questions how much of a purchase was consumed, the most urgent first, those
whose time is over last.

Only those whose buyer consents (see set_consumption_consent); the others must not be answered.
Listed until answer_consumption_request; the store waits for 12 hours, until due_at.

p_limit: 1 to 100.

@returns {requests: [consumption_request]}
@shape consumption_request {store: text, environment: text, notification_id: text,
    transaction_id: text, user_id: uuid, reason: text?, due_at: timestamptz,
    customer_consented: boolean, credits_added: integer, credits_consumed: bigint,
    consumption_percentage: bigint}
@raises PT400 invalid_argument
@raises PT403 service_only$$;

revoke execute on function public.get_consumption_requests(integer)
from public, anon, authenticated;
grant execute on function public.get_consumption_requests(integer) to service_role;
