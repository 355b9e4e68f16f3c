-- A partition inherits neither row security nor revokes, so it gets both here, in the transaction
-- that makes it reachable. Rows that the default partition holds for it are moved first; nobody,
-- the owner included, may delete there, so the right is lent for this transaction alone.
create or replace function rendio.attach_partition(
    p_policy rendio.partition_policies,
    p_from timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
-- The bounds are written as text: other styles name the time zone, and IST is three zones.
set datestyle = iso
as $$
declare
    v_table text := split_part(p_policy.parent, '.', 2);
    v_name text := rendio.partition_name(p_policy, p_from);
    v_default text := v_table || '_default';
    v_to timestamptz := (p_from at time zone 'UTC' + p_policy.step) at time zone 'UTC';
begin
    execute format(
        'create table rendio.%I (like public.%I including defaults including constraints'
        ' including indexes including storage)', v_name, v_table
    );
    execute format('alter table rendio.%I enable row level security', v_name);
    execute format(
        'comment on table rendio.%I is %L', v_name,
        format('%s from %s up to %s, UTC.', p_policy.parent, p_from at time zone 'UTC',
            v_to at time zone 'UTC')
    );

    -- A writer that has chosen the default partition already would find its row's month gone
    -- (23514), so for a month that has begun writers are made to wait before they choose.
    if p_from <= rendio.clock() then
        execute format('grant delete on public.%I to rendio_owner', v_table);
        execute format('lock table public.%I in share row exclusive mode', v_table);
        execute format('revoke delete on public.%I from rendio_owner', v_table);
    end if;
    execute format('grant delete on rendio.%I to rendio_owner', v_default);
    execute format('lock table rendio.%I in access exclusive mode', v_default);
    execute format(
        'with moved as (delete from rendio.%I where created_at >= $1 and created_at < $2'
        ' returning *) insert into rendio.%I select * from moved', v_default, v_name
    )
    using p_from, v_to;
    execute format('revoke delete on rendio.%I from rendio_owner', v_default);

    execute format(
        'alter table public.%I attach partition rendio.%I for values from (%L) to (%L)',
        v_table, v_name, p_from, v_to
    );
    execute format(
        'revoke all on rendio.%I from public, anon, authenticated, service_role', v_name
    );
    execute format('revoke update, delete, truncate on rendio.%I from rendio_owner', v_name);
end;
$$;

comment on function rendio.attach_partition(rendio.partition_policies, timestamptz) is
$$Make one partition, closed like its parent, and attach it.$$;

revoke execute on function rendio.attach_partition(rendio.partition_policies, timestamptz)
from public, anon, authenticated;
