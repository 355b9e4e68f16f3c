create or replace function rendio.reconcile_jobs(p_from uuid, p_until uuid)
returns setof rendio.discrepancy
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with money as (
        select
            q.user_id,
            q.job_id,
            case when q.reason = 'video_generation' then -q.change else 0 end as charged,
            case when q.reason = 'video_generation' then 0 else q.change end as refunded,
            0 as used,
            0 as given_back
        from public.quota_log as q
        where q.user_id between p_from and p_until
            and (q.reason = 'video_generation' or rendio.is_refund(q.reason))
        union all
        select j.user_id, j.job_id, 0, 0, j.credits_used, j.credits_refunded
        from public.video_jobs as j
        where j.user_id between p_from and p_until
        union all
        select j.user_id, j.job_id, 0, 0, j.credits_used, j.credits_refunded
        from public.video_jobs_archive as j
        where j.user_id between p_from and p_until
    ),

    jobs as (
        select
            m.user_id,
            sum(m.charged)::bigint as charged,
            sum(m.refunded)::bigint as refunded,
            sum(m.used) as used,
            sum(m.given_back) as given_back
        from money as m
        group by m.user_id, m.job_id
    )

    select j.user_id, c.problem, c.expected, c.actual
    from jobs as j
    cross join lateral (
        values
        ('job_charge_differs_from_ledger', j.charged, j.used, j.charged <> j.used),
        ('refund_exceeds_charge', j.charged, j.refunded, j.refunded > j.charged),
        (
            'job_refund_differs_from_ledger', j.refunded, j.given_back,
            j.refunded <> j.given_back and j.refunded <= j.charged
        )
    ) as c (problem, expected, actual, is_found)
    where c.is_found;
end;
$$;

comment on function rendio.reconcile_jobs(uuid, uuid) is
$$Where a job and the entries that name it disagree, of the users with these ids.

job_charge_differs_from_ledger, where nothing costs nothing: expected 0 is a job that was never
charged, actual 0 a charge without a job. refund_exceeds_charge, whatever the job says;
job_refund_differs_from_ledger.$$;

revoke execute on function rendio.reconcile_jobs(uuid, uuid) from public, anon, authenticated;
