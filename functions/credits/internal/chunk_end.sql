create or replace function rendio.chunk_end(p_from uuid, p_until uuid)
returns uuid
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(
        (
            select u.id
            from public.users as u
            where u.id between p_from and p_until
            order by u.id
            offset 9999
            limit 1
        ),
        p_until
    );
end;
$$;

comment on function rendio.chunk_end(uuid, uuid) is
$$Up to which id, p_until at most, 10,000 users have theirs, counted from p_from.$$;

revoke execute on function rendio.chunk_end(uuid, uuid) from public, anon, authenticated;
