-- Locks: SHARE UPDATE EXCLUSIVE on the parent and ACCESS EXCLUSIVE on its default partition, for
-- the moment of each ATTACH. CREATE TABLE … PARTITION OF would take ACCESS EXCLUSIVE on the parent
-- and, behind one open reader, stop every insert. A lock not had in two seconds is left to the next
-- run: the default partition takes the rows meanwhile. It must be longer than deadlock_timeout (one
-- second unless set), after which an autovacuum run gives way. A policy that another run is at is
-- passed by: two runs would stand in each other's way.
create or replace function rendio.ensure_partitions()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
    v_now timestamptz := rendio.clock();
    v_policy rendio.partition_policies;
    v_from timestamptz;
    v_made integer := 0;
begin
    for v_policy in
        select * from rendio.partition_policies as p order by p.parent for update skip locked
    loop
        for v_from in
            select p.starts_at
            from rendio.missing_partitions(v_policy, v_now) as p
            order by p.starts_at
        loop
            begin
                perform rendio.attach_partition(v_policy, v_from);
                v_made := v_made + 1;
            exception
                when lock_not_available then
                    raise warning 'partition of % from % waits for the next run',
                        v_policy.parent, v_from;
                    -- Behind the same reader the others would each wait as long.
                    exit;
            end;
        end loop;
    end loop;
    return v_made;
end;
$$;

comment on function rendio.ensure_partitions() is
$$Make the partitions that partition_policies asks for, also of months whose rows went to the
default partition, and move those rows there; returns how many were made. Run by apply and by
cron.$$;

revoke execute on function rendio.ensure_partitions() from public, anon, authenticated;
