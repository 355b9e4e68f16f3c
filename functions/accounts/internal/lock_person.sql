-- Locks: the user's row, then the account's that it was merged into. Guest first, then account,
-- everywhere.
create or replace function rendio.lock_person(p_user_id uuid)
returns public.users
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user public.users;
begin
    select * into strict v_user from public.users as u where u.id = p_user_id for no key update;
    if v_user.merged_into is not null then
        select * into strict v_user
        from public.users as u
        where u.id = v_user.merged_into
        for no key update;
    end if;
    return v_user;
end;
$$;

comment on function rendio.lock_person(uuid) is
$$The user, or the account that took the user over, locked.$$;

revoke execute on function rendio.lock_person(uuid) from public, anon, authenticated;
