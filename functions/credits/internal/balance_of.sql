create or replace function rendio.balance_of(p_user_id uuid)
returns bigint
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select rendio.available_credits(a, rendio.clock())
    from public.users as u
    join public.users as a on a.id = coalesce(u.merged_into, u.id)
    where u.id = p_user_id;
$$;

comment on function rendio.balance_of(uuid) is
$$What a user can spend now, in the account if it is a merged guest; 0 of a deleted account.$$;

revoke execute on function rendio.balance_of(uuid) from public, anon, authenticated;
