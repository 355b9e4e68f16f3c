create or replace function rendio.health()
returns setof rendio.health_check
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_policy rendio.partition_policies;
    v_count bigint;
begin
    for v_policy in
        select * from rendio.partition_policies as p order by p.parent
    loop
        execute format(
            'select count(*) from rendio.%I', split_part(v_policy.parent, '.', 2) || '_default'
        )
        into v_count;
        return next (
            v_policy.parent || ' default partition empty', v_count = 0,
            format('%s rows; run rendio.ensure_partitions()', v_count)
        )::rendio.health_check;

        select count(*) into v_count from rendio.missing_partitions(v_policy, v_now);
        return next (
            v_policy.parent || ' partitions ahead', v_count = 0,
            format('%s missing; run rendio.ensure_partitions()', v_count)
        )::rendio.health_check;
    end loop;

    select count(*) into v_count
    from public.video_jobs as j
    where (j.status = 'pending' and j.times_out_at < v_now - interval '10 minutes')
        or (j.status = 'processing' and j.times_out_at < v_now - interval '10 minutes');
    return next (
        'stuck jobs swept', v_count = 0,
        format('%s overdue by 10 minutes; does sweep-stuck-jobs run?', v_count)
    )::rendio.health_check;

    select count(*) into v_count
    from public.idempotency_log as l
    where l.expires_at < v_now - interval '2 hours';
    return next (
        'expired keys cleaned', v_count = 0,
        format('%s overdue by 2 hours; does cleanup-idempotency-log run?', v_count)
    )::rendio.health_check;

    return next (
        'notifications are heard', pg_notification_queue_usage() < 0.5,
        format(
            'the queue is %s%% full; a session that listens has a transaction open, and when it is '
            'full no job can end: see job_notifications',
            round(100 * pg_notification_queue_usage()::numeric)
        )
    )::rendio.health_check;

    select count(*) into v_count
    from public.provider_jobs as s
    where s.outcome = 'succeeded' and s.outcome_at > v_now - interval '24 hours';
    return next (
        'late successes', true,
        format('%s in 24 hours: videos that came after their refund', v_count)
    )::rendio.health_check;
end;
$$;

comment on function rendio.health() is
$$What an operator should look at: one row per check, ok false where something is overdue.$$;

revoke execute on function rendio.health() from public, anon, authenticated;
