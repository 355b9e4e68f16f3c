create or replace function rendio.reconcile_job_status(p_from uuid, p_until uuid)
returns setof rendio.discrepancy
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select j.user_id, 'job_refund_differs_from_status', j.due, j.credits_refunded::bigint
    from (
        select
            v.user_id,
            v.credits_refunded,
            case v.status when 'failed' then v.credits_used else 0 end::bigint as due
        from (
            select * from public.video_jobs as n where n.user_id between p_from and p_until
            union all
            select * from public.video_jobs_archive as o where o.user_id between p_from and p_until
        ) as v
        where v.status <> 'completed'
    ) as j
    where j.credits_refunded <> j.due;
end;
$$;

comment on function rendio.reconcile_job_status(uuid, uuid) is
$$Where a job that failed kept credits, or one that did not gave some back, of the users with these
ids: job_refund_differs_from_status. A completed one may give back a part.$$;

revoke execute on function rendio.reconcile_job_status(uuid, uuid) from public, anon, authenticated;
