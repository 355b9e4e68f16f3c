-- Locks: the user's row.
create or replace function rendio.forfeit_credits(p_user_id uuid, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_balance bigint;
begin
    perform from public.users as u where u.id = p_user_id for no key update;
    perform rendio.settle_expiry(p_user_id, p_at);
    select u.credits_remaining into v_balance from public.users as u where u.id = p_user_id;
    if v_balance > 0 then
        perform rendio.post_entry(p_user_id, -v_balance, 'credit_expired', null, p_at);
    end if;
end;
$$;

comment on function rendio.forfeit_credits(uuid, timestamptz) is
$$Take all credits of an account that is deleted.$$;

revoke execute on function rendio.forfeit_credits(uuid, timestamptz)
from public, anon, authenticated;
