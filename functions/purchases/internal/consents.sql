create or replace function rendio.consents(p_user_id uuid)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select
        from public.users as u
        join public.consumption_consents as c on c.user_id = coalesce(u.merged_into, u.id)
        where u.id = p_user_id
    );
end;
$$;

comment on function rendio.consents(uuid) is
$$Whether a buyer, or the account that took it over, lets stores know what was consumed.$$;

revoke execute on function rendio.consents(uuid) from public, anon, authenticated;
