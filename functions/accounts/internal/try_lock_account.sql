-- Locks: the account's row, without waiting. For maintenance, which never waits.
create or replace function rendio.try_lock_account(p_guest_id uuid)
returns boolean
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_account_id uuid;
begin
    select u.merged_into into v_account_id from public.users as u where u.id = p_guest_id;
    if v_account_id is null then
        return true;
    end if;
    perform from public.users as u where u.id = v_account_id for no key update skip locked;
    return found;
end;
$$;

comment on function rendio.try_lock_account(uuid) is
$$Lock the account that a user is merged into; false when somebody else holds it. True for a user
that is not merged.$$;

revoke execute on function rendio.try_lock_account(uuid) from public, anon, authenticated;
