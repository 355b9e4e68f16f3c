-- `begin atomic` and no `set`, so that it inlines: the jobs of an account are read through it.
create or replace function rendio.people_of(p_user_id uuid)
returns setof uuid
language sql
stable
security invoker
begin atomic
    select p_user_id
    union all
    select u.id
    from public.users as u
    where u.merged_into = p_user_id;
end;

comment on function rendio.people_of(uuid) is
$$The user and the guests merged into it: whose jobs it may read.$$;

revoke execute on function rendio.people_of(uuid) from public, anon, authenticated;
