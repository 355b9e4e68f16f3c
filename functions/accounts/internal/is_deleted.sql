create or replace function rendio.is_deleted(p_user_id uuid)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from public.users as u where u.id = p_user_id and u.deleted_at is not null
    );
end;
$$;

comment on function rendio.is_deleted(uuid) is
$$Whether the account was deleted: nothing that could be about a person is kept for it.$$;

revoke execute on function rendio.is_deleted(uuid) from public, anon, authenticated;
