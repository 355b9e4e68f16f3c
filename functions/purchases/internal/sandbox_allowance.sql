-- Locks: the user's row, then the account's that it was merged into: two purchases at once cannot
-- both pass under the cap. The cap is a person's, guests included; a purchase counts once, refunded
-- and returned or not.
create or replace function rendio.sandbox_allowance(p_user_id uuid, p_credits integer)
returns integer
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rule text := rendio.setting('sandbox_purchases') #>> '{}';
    v_owner public.users;
begin
    if not exists (select from public.users as u where u.id = p_user_id) then
        perform rendio.require_account(p_user_id);
    end if;
    v_owner := rendio.lock_person(p_user_id);
    if v_rule = 'listed' and rendio.setting('sandbox_testers') ? p_user_id::text then
        return p_credits;
    elsif v_rule = 'capped' then
        return least(p_credits, rendio.sandbox_room(v_owner.id));
    end if;
    return 0;
end;
$$;

comment on function rendio.sandbox_allowance(uuid, integer) is
$$How many of a sandbox purchase's credits the settings let this user have.

@raises PT404 user_not_found$$;

revoke execute on function rendio.sandbox_allowance(uuid, integer)
from public, anon, authenticated;
