create or replace function rendio.reconcile_merges(p_from uuid, p_until uuid)
returns setof rendio.discrepancy
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with gone as (
        select u.merged_into as user_id, -sum(q.change)::bigint as credits
        from public.users as u
        join public.quota_log as q on q.user_id = u.id and q.reason = 'guest_merge_out'
        where u.merged_into between p_from and p_until
        group by u.merged_into
    ),

    come as (
        select q.user_id, sum(q.change)::bigint as credits
        from public.quota_log as q
        where q.user_id between p_from and p_until and q.reason = 'guest_merge_in'
        group by q.user_id
    )

    select
        coalesce(g.user_id, c.user_id),
        'merges_differ',
        coalesce(g.credits, 0),
        coalesce(c.credits, 0)
    from gone as g
    full join come as c on c.user_id = g.user_id
    where coalesce(g.credits, 0) <> coalesce(c.credits, 0);
end;
$$;

comment on function rendio.reconcile_merges(uuid, uuid) is
$$Where an account got other credits than its guests gave when they were merged, of the users with
these ids: merges_differ.$$;

revoke execute on function rendio.reconcile_merges(uuid, uuid) from public, anon, authenticated;
