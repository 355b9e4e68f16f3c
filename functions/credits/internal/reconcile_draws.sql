create or replace function rendio.reconcile_draws(p_from uuid, p_until uuid)
returns setof rendio.discrepancy
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with draws as (
        select d.user_id, d.job_id, sum(d.credits)::bigint as credits
        from public.credit_draws as d
        where d.user_id between p_from and p_until
        group by d.user_id, d.job_id
    ),

    held as (
        select q.user_id, q.job_id, -sum(q.change)::bigint as credits
        from public.quota_log as q
        join public.users as u on u.id = q.user_id and q.seq <= u.lots_seq
        where q.user_id between p_from and p_until
            and q.job_id is not null
        group by q.user_id, q.job_id
    )

    select
        coalesce(d.user_id, h.user_id),
        'draws_differ_from_charge',
        coalesce(h.credits, 0),
        coalesce(d.credits, 0)
    from draws as d
    full join held as h on h.user_id = d.user_id and h.job_id = d.job_id
    where coalesce(d.credits, 0) <> coalesce(h.credits, 0)
        and (
            d.user_id is not null
            or exists (
                select
                from public.video_jobs as j
                where j.user_id = h.user_id
                    and j.job_id = h.job_id
                    and j.status in ('pending', 'processing')
            )
        );
end;
$$;

comment on function rendio.reconcile_draws(uuid, uuid) is
$$Where the lots that a job drew from could return another amount than it holds, of the users with
these ids: draws_differ_from_charge.$$;

revoke execute on function rendio.reconcile_draws(uuid, uuid) from public, anon, authenticated;
