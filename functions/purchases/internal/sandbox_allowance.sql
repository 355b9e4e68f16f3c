-- Locks: the user's row, so that two purchases at once cannot both pass under the cap.
create or replace function rendio.sandbox_allowance(p_user_id uuid, p_credits integer)
returns integer
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rule text := rendio.setting('sandbox_purchases') #>> '{}';
    v_granted bigint;
begin
    perform from public.users as u where u.id = p_user_id for no key update;
    if not found then
        perform rendio.require_account(p_user_id);
    end if;
    if v_rule = 'listed' and rendio.setting('sandbox_testers') ? p_user_id::text then
        return p_credits;
    elsif v_rule = 'capped' then
        select coalesce(sum(g.amount), 0) into v_granted
        from public.credit_grants as g
        where g.user_id = p_user_id and g.is_sandbox;
        return greatest(
            0,
            least(
                p_credits,
                coalesce(rendio.setting('sandbox_credit_cap')::integer, 0) - v_granted
            )
        );
    end if;
    return 0;
end;
$$;

comment on function rendio.sandbox_allowance(uuid, integer) is
$$How many of a sandbox purchase's credits the settings let this user have.

@raises PT404 user_not_found$$;

revoke execute on function rendio.sandbox_allowance(uuid, integer)
from public, anon, authenticated;
