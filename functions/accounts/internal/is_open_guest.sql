create or replace function rendio.is_open_guest(p_user public.users)
returns boolean
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select p_user.is_guest and p_user.merged_into is null and p_user.deleted_at is null;
$$;

comment on function rendio.is_open_guest(public.users) is
$$Whether the account is a guest that no account has taken over and nobody deleted.$$;

revoke execute on function rendio.is_open_guest(public.users) from public, anon, authenticated;
