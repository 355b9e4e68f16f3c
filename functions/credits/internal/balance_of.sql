create or replace function rendio.balance_of(p_user_id uuid)
returns bigint
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user public.users;
begin
    select u.* into v_user from public.users as u where u.id = p_user_id;
    if not found then
        return null;
    elsif v_user.merged_into is not null then
        select u.* into v_user from public.users as u where u.id = v_user.merged_into;
    end if;
    return rendio.available_credits(v_user, rendio.clock());
end;
$$;

comment on function rendio.balance_of(uuid) is
$$What a user can spend now, in the account if it is a merged guest; 0 of a deleted account.$$;

revoke execute on function rendio.balance_of(uuid) from public, anon, authenticated;
