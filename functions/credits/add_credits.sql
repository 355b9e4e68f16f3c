-- Locks: the key's claim, then the user's row.
create or replace function public.add_credits(
    p_user_id uuid,
    p_amount integer,
    p_reason text,
    p_idempotency_key uuid,
    p_expires_at timestamptz default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_response jsonb;
    v_first jsonb;
    v_entry public.quota_log;
begin
    perform rendio.require_service();
    if p_user_id is null then
        perform rendio.raise_invalid('p_user_id', 'required');
    elsif p_idempotency_key is null then
        perform rendio.raise_invalid('p_idempotency_key', 'required');
    elsif p_reason is null or p_reason not in ('promo_grant', 'admin_adjustment') then
        perform rendio.raise_invalid('p_reason', 'promo_grant or admin_adjustment');
    elsif p_amount is null or p_amount = 0 or p_amount not between -1000000 and 1000000 then
        perform rendio.raise_invalid('p_amount', 'not zero, -1000000 to 1000000');
    elsif p_reason = 'promo_grant' and p_amount < 0 then
        perform rendio.raise_invalid('p_amount', 'positive for promo_grant');
    elsif p_expires_at is not null and (p_amount < 0 or not isfinite(p_expires_at)) then
        perform rendio.raise_invalid('p_expires_at', 'a finite time, only for credits given');
    end if;

    v_response := jsonb_build_object('credits_added', p_amount);
    v_first := rendio.claim_idempotency_key(
        p_user_id,
        p_idempotency_key,
        'add_credits',
        rendio.request_hash(
            jsonb_build_array(
                'add_credits', p_amount, p_reason, p_expires_at at time zone 'UTC'
            )::text
        ),
        v_response,
        null,
        v_now
    );
    if v_first is not null then
        return v_first || jsonb_build_object(
            'credits_remaining', rendio.balance_of(p_user_id), 'replayed', true
        );
    end if;

    if p_expires_at <= v_now then
        perform rendio.raise_invalid('p_expires_at', 'in the future');
    end if;
    v_entry := rendio.post_entry(
        p_user_id, p_amount, p_reason::rendio.ledger_reason, null, v_now,
        p_expires_at => p_expires_at
    );
    if p_expires_at <= v_entry.created_at then -- which is later after the clock went back
        perform rendio.raise_invalid('p_expires_at', 'after the last entry of the ledger');
    end if;
    return v_response || jsonb_build_object(
        'credits_remaining', v_entry.balance_after, 'replayed', false
    );
end;
$$;

comment on function public.add_credits(uuid, integer, text, uuid, timestamptz) is
$$Give credits, or with admin_adjustment also take some; never below zero.

Safe to repeat with the same key for 24 hours: the later calls change nothing and return
replayed true with today's balance.

p_amount: -1,000,000 to 1,000,000 credits, not zero; promo_grant only gives.
p_reason: promo_grant or admin_adjustment.
p_idempotency_key: a random uuid, made once for the request and sent again with each retry.
p_expires_at: when what is left of the credits is lost; null: never.

@returns {credits_added: integer, credits_remaining: bigint, replayed: boolean}
@raises PT400 invalid_argument
@raises PT402 insufficient_credits
@raises PT403 service_only
@raises PT404 user_not_found
@raises PT409 account_merged
@raises PT422 idempotency_key_reused$$;

revoke execute on function public.add_credits(uuid, integer, text, uuid, timestamptz)
from public, anon, authenticated;
grant execute on function public.add_credits(uuid, integer, text, uuid, timestamptz)
to service_role;
