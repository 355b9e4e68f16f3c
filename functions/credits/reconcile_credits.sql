-- One statement, so one snapshot: two would raise false alarms under load. Always planned for the
-- given argument, so that one user costs one user.
create or replace function public.reconcile_credits(p_user_id uuid default null)
returns setof rendio.discrepancy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
begin
    perform rendio.require_service();
    return query
    with ledger as (
        select
            q.user_id,
            q.seq,
            q.created_at,
            q.change,
            q.balance_after,
            q.reason,
            q.job_id,
            lag(q.seq, 1, 0::bigint) over w as previous_seq,
            lag(q.created_at, 1, '-infinity') over w as previous_at,
            lag(q.balance_after, 1, 0::bigint) over w as previous_balance,
            q.change > 0 and not rendio.is_refund(q.reason) as is_grant
        from public.quota_log as q
        where p_user_id is null or q.user_id = p_user_id
        window w as (partition by q.user_id order by q.seq)
    ),

    totals as (
        select
            l.user_id,
            max(l.seq) as last_seq,
            sum(l.change)::bigint as balance,
            coalesce(sum(l.change) filter (where l.is_grant), 0)::bigint as granted
        from ledger as l
        group by l.user_id
    ),

    job_money as (
        select
            l.user_id,
            l.job_id,
            coalesce(-sum(l.change) filter (where l.reason = 'video_generation'), 0)::bigint
                as charged,
            coalesce(sum(l.change) filter (where l.reason <> 'video_generation'), 0)::bigint
                as refunded
        from ledger as l
        where l.reason = 'video_generation' or rendio.is_refund(l.reason)
        group by l.user_id, l.job_id
    ),

    lots as (
        select * from public.credit_grants as c where p_user_id is null or c.user_id = p_user_id
    ),

    accounts as (
        select u.*, t.last_seq, t.balance, t.granted, t.user_id as ledger_user_id
        from public.users as u
        full join totals as t on t.user_id = u.id
        where p_user_id is null or u.id = p_user_id or t.user_id = p_user_id
    ),

    jobs as (
        select j.user_id, j.job_id, j.status, j.credits_used, j.credits_refunded, m.charged,
            m.refunded, coalesce(j.user_id, m.user_id) as owner_id
        from (
            select * from public.video_jobs
            union all
            select * from public.video_jobs_archive
        ) as j
        full join job_money as m on m.user_id = j.user_id and m.job_id = j.job_id
        where p_user_id is null or j.user_id = p_user_id or m.user_id = p_user_id
    )

    select a.ledger_user_id, 'ledger_without_account', null::bigint, a.balance
    from accounts as a
    where a.id is null
    union all
    select a.id, 'balance_differs_from_ledger', coalesce(a.balance, 0), a.credits_remaining
    from accounts as a
    where a.credits_remaining <> coalesce(a.balance, 0)
    union all
    select a.id, 'credits_total_differs_from_ledger', coalesce(a.granted, 0), a.credits_total
    from accounts as a
    where a.credits_total <> coalesce(a.granted, 0)
    union all
    select a.id, 'ledger_seq_differs_from_ledger', coalesce(a.last_seq, 0), a.ledger_seq
    from accounts as a
    where a.ledger_seq <> coalesce(a.last_seq, 0)
    union all
    select l.user_id, 'ledger_entry_missing', l.previous_seq + 1, l.seq
    from ledger as l
    where l.seq <> l.previous_seq + 1
    union all
    select l.user_id, 'balance_after_differs_from_chain', l.previous_balance + l.change,
        l.balance_after
    from ledger as l
    where l.balance_after <> l.previous_balance + l.change
    union all
    select l.user_id, 'ledger_time_runs_backwards', l.previous_seq, l.seq
    from ledger as l
    where l.created_at < l.previous_at
    union all
    select j.owner_id, 'job_charge_differs_from_ledger', coalesce(j.charged, 0),
        coalesce(j.credits_used, 0)::bigint
    from jobs as j
    where coalesce(j.charged, 0) <> coalesce(j.credits_used, 0)
    union all
    select j.owner_id, 'job_refund_differs_from_ledger', coalesce(j.refunded, 0),
        coalesce(j.credits_refunded, 0)::bigint
    from jobs as j
    where coalesce(j.refunded, 0) <> coalesce(j.credits_refunded, 0)
    union all
    select j.user_id, 'job_refund_differs_from_status',
        case j.status when 'failed' then j.credits_used else 0 end::bigint,
        j.credits_refunded::bigint
    from jobs as j
    where j.status <> 'completed'
        and j.credits_refunded <> case j.status when 'failed' then j.credits_used else 0 end
    union all
    select coalesce(l.user_id, g.user_id), 'lot_differs_from_ledger', l.change, g.amount
    from ledger as l
    full join (
        select c.user_id, c.seq, sum(c.amount)::bigint as amount
        from lots as c
        group by c.user_id, c.seq
    ) as g on g.user_id = l.user_id and g.seq = l.seq
    where case
            when l.is_grant then l.change is distinct from g.amount
            when rendio.is_refund(l.reason) then g.amount > l.change
            else g.amount is not null
        end
    union all
    select u.id, 'lots_differ_from_balance', coalesce(l.balance_after, 0), coalesce(g.remaining, 0)
    from public.users as u
    left join ledger as l on l.user_id = u.id and l.seq = u.lots_seq
    left join (
        select c.user_id, sum(c.remaining)::bigint as remaining
        from lots as c
        join public.users as o on o.id = c.user_id and c.seq <= o.lots_seq
        group by c.user_id
    ) as g on g.user_id = u.id
    where (p_user_id is null or u.id = p_user_id)
        and coalesce(l.balance_after, 0) <> coalesce(g.remaining, 0)
    union all
    select d.user_id, 'draws_differ_from_charge', coalesce(m.held, 0), d.credits
    from (
        select w.user_id, w.job_id, sum(w.credits)::bigint as credits
        from public.credit_draws as w
        where p_user_id is null or w.user_id = p_user_id
        group by w.user_id, w.job_id
    ) as d
    left join (
        select l.user_id, l.job_id, -sum(l.change)::bigint as held
        from ledger as l
        join public.users as u on u.id = l.user_id and l.seq <= u.lots_seq
        where l.job_id is not null
        group by l.user_id, l.job_id
    ) as m on m.user_id = d.user_id and m.job_id = d.job_id
    where d.credits <> coalesce(m.held, 0)
    union all
    select coalesce(t.user_id, l.user_id), 'purchase_differs_from_ledger', coalesce(l.change, 0),
        coalesce(t.credits_added, 0)::bigint
    from (
        select * from public.iap_transactions as i
        where p_user_id is null or i.user_id = p_user_id
    ) as t
    full join (select * from ledger as e where e.reason = 'iap_purchase') as l
        on l.user_id = t.user_id and l.seq = t.ledger_seq
    where coalesce(t.credits_added, 0) <> coalesce(l.change, 0)
    union all
    select d.user_id, 'entries_in_default_partition', 0::bigint, count(*)
    from rendio.quota_log_default as d
    where p_user_id is null or d.user_id = p_user_id
    group by d.user_id;
end;
$$;

comment on function public.reconcile_credits(uuid) is
$$Prove that the books agree: a row per discrepancy, none when all is well.

Compares, in one snapshot, every balance with its ledger, the ledger's sequence, times and running
balance, jobs with their charges and refunds, lots, draws and purchases with their entries.
expected is what the ledger says.

p_user_id: one user; null: all.

@returns [discrepancy]
@shape discrepancy {user_id: uuid, problem: text, expected: bigint?, actual: bigint?}
@raises PT403 service_only$$;

revoke execute on function public.reconcile_credits(uuid) from public, anon, authenticated;
grant execute on function public.reconcile_credits(uuid) to service_role;
