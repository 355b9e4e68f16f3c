-- Locks: the user's row, so that what is reported is what decided; not a merged guest's, which
-- stays one: a caller who holds the account's row already would wait for whoever passes credits on
-- to it.
create or replace function rendio.refuse_entry(
    p_user_id uuid,
    p_change bigint,
    p_at timestamptz,
    p_is_open boolean default true,
    p_is_spent boolean default false,
    p_of_lot boolean default false
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user public.users;
begin
    select * into v_user from public.users as u where u.id = p_user_id;
    if v_user.merged_into is null or not p_is_open then
        select * into v_user from public.users as u where u.id = p_user_id for no key update;
    end if;
    if v_user.id is null or (p_is_open and v_user.deleted_at is not null) then
        perform rendio.require_account(p_user_id);
    elsif p_is_open and v_user.merged_into is not null then
        raise sqlstate 'PT409' using
            message = 'account_merged',
            detail = jsonb_build_object('merged_into', v_user.merged_into)::text,
            hint = 'Sign in again and use the account.';
    elsif not p_of_lot and v_user.next_expiry_at <= greatest(v_user.ledger_at, p_at) then
        perform rendio.settle_expiry(p_user_id, p_at);
    elsif v_user.credits_remaining + p_change < 0 then
        raise sqlstate 'PT402' using
            message = 'insufficient_credits',
            detail = jsonb_build_object(
                'required', -p_change, 'available', v_user.credits_remaining
            )::text,
            hint = 'Buy credits or choose a cheaper model.';
    elsif p_is_spent and v_user.is_blocked then
        raise sqlstate 'PT403' using
            message = 'account_blocked',
            detail = '{}',
            hint = 'Buy credits: they pay for what was refunded after it had been spent.';
    end if;
end;
$$;

comment on function rendio.refuse_entry(uuid, bigint, timestamptz, boolean, boolean, boolean) is
$$Settle expiry if it is due, else say why a balance could not change; who returns from it tries
again.

p_is_open: a merged guest or a deleted account is refused; otherwise credits pass through it.
p_is_spent: a blocked user is refused.
p_of_lot: the entry takes from one lot, as expiry itself does, so expiry is not settled for it: a
balance below its lots is refused, not settled again without end.

@raises PT402 insufficient_credits
@raises PT403 account_blocked
@raises PT404 user_not_found
@raises PT409 account_merged$$;

revoke execute on function rendio.refuse_entry(uuid, bigint, timestamptz, boolean, boolean, boolean)
from public, anon, authenticated;
