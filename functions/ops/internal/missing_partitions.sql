-- From now to the policy's horizon, and wherever the default partition holds rows.
create or replace function rendio.missing_partitions(
    p_policy rendio.partition_policies,
    p_now timestamptz
)
returns table (starts_at timestamptz)
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unit text := case when p_policy.step = interval '1 month' then 'month' else 'day' end;
begin
    return query execute format(
        $query$
            select wanted.starts_at
            from (
                select date_trunc(%1$L, $1 at time zone 'UTC') + n * $2 as local
                from generate_series(0, $3) as n
                union
                select distinct date_trunc(%1$L, d.created_at at time zone 'UTC')
                from rendio.%2$I as d
            ) as w
            cross join lateral (select w.local at time zone 'UTC' as starts_at) as wanted
            where to_regclass(
                format('rendio.%%I', rendio.partition_name($4, wanted.starts_at))
            ) is null
        $query$,
        v_unit,
        split_part(p_policy.parent, '.', 2) || '_default'
    )
    using p_now, p_policy.step, p_policy.ahead, p_policy;
end;
$$;

comment on function rendio.missing_partitions(rendio.partition_policies, timestamptz) is
$$Starts of the partitions that a policy asks for and that do not exist.$$;

revoke execute on function rendio.missing_partitions(rendio.partition_policies, timestamptz)
from public, anon, authenticated;
