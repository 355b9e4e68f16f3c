create or replace function rendio.reconcile_partitions(p_from uuid, p_until uuid)
returns setof rendio.discrepancy
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select d.user_id, 'entries_in_default_partition', 0::bigint, count(*)
    from rendio.quota_log_default as d
    where d.user_id between p_from and p_until
    group by d.user_id;
end;
$$;

comment on function rendio.reconcile_partitions(uuid, uuid) is
$$Entries of months without a partition of their own, of the users with these ids:
entries_in_default_partition.$$;

revoke execute on function rendio.reconcile_partitions(uuid, uuid) from public, anon, authenticated;
