create or replace function rendio.entry_json(p_entry public.quota_log)
returns jsonb
language sql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'seq', p_entry.seq,
        'change', p_entry.change,
        'reason', p_entry.reason,
        'balance_after', p_entry.balance_after,
        'job_id', p_entry.job_id,
        'created_at', p_entry.created_at
    );
$$;

comment on function rendio.entry_json(public.quota_log) is
$$A ledger entry as its user sees it.$$;

revoke execute on function rendio.entry_json(public.quota_log) from public, anon, authenticated;
