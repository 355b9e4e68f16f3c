create or replace function rendio.partition_name(
    p_policy rendio.partition_policies,
    p_from timestamptz
)
returns text
language sql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select split_part(p_policy.parent, '.', 2) || '_' || to_char(
        p_from at time zone 'UTC',
        case when p_policy.step = interval '1 month' then 'YYYY_MM' else 'YYYY_MM_DD' end
    );
$$;

comment on function rendio.partition_name(rendio.partition_policies, timestamptz) is
$$Name of the partition that starts at p_from, in schema rendio: quota_log_2026_11.$$;

revoke execute on function rendio.partition_name(rendio.partition_policies, timestamptz)
from public, anon, authenticated;
