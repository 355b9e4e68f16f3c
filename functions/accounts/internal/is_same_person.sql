create or replace function rendio.is_same_person(p_owner_id uuid, p_user_id uuid)
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return p_owner_id = p_user_id
        or exists (
            select from public.users as u
            where u.id = p_owner_id and u.merged_into = p_user_id
        );
end;
$$;

comment on function rendio.is_same_person(uuid, uuid) is
$$Whether what is p_owner_id's belongs to p_user_id: it is that user, or a guest merged into it.$$;

revoke execute on function rendio.is_same_person(uuid, uuid) from public, anon, authenticated;
