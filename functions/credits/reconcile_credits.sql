-- Each comparison is one statement, so one snapshot, for 10,000 users at a time: what it sorts and
-- joins does not grow with the database. Being stable, all of them see what the caller's statement
-- saw; newer snapshots would not let vacuum go on, which the caller's holds back until it ends.
-- Whoever cannot have that walks by p_from and p_until.
-- Always planned for the given ids, here and in what is called, so that one user costs one user.
create or replace function public.reconcile_credits(
    p_user_id uuid default null,
    p_from uuid default null,
    p_until uuid default null
)
returns setof rendio.discrepancy
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_from uuid := coalesce(
        greatest(p_user_id, p_from), '00000000-0000-0000-0000-000000000000'
    );
    v_last uuid := coalesce(
        least(p_user_id, p_until), 'ffffffff-ffff-ffff-ffff-ffffffffffff'
    );
    v_until uuid;
begin
    perform rendio.require_service();
    loop
        v_until := rendio.chunk_end(v_from, v_last);
        return query select * from rendio.reconcile_balances(v_from, v_until);
        return query select * from rendio.reconcile_accounts(v_from, v_until);
        return query select * from rendio.reconcile_merges(v_from, v_until);
        return query select * from rendio.reconcile_chain(v_from, v_until);
        return query select * from rendio.reconcile_jobs(v_from, v_until);
        return query select * from rendio.reconcile_job_status(v_from, v_until);
        return query select * from rendio.reconcile_holds(v_from, v_until);
        return query select * from rendio.reconcile_lots(v_from, v_until);
        return query select * from rendio.reconcile_lot_balances(v_from, v_until);
        return query select * from rendio.reconcile_draws(v_from, v_until);
        return query select * from rendio.reconcile_purchases(v_from, v_until);
        return query select * from rendio.reconcile_revocations(v_from, v_until);
        return query select * from rendio.reconcile_partitions(v_from, v_until);
        exit when v_until = v_last;
        v_from := rendio.next_uuid(v_until);
    end loop;
end;
$$;

comment on function public.reconcile_credits(uuid, uuid, uuid) is
$$Prove that the books agree: a row per discrepancy, none when all is well.

Compares, in one snapshot, every balance with its ledger, an account's state with its ledger, lots
and debts, what guests gave with what their account got, the ledger's sequence, times and running
balance, jobs with their charges and refunds, lots, draws and purchases with their entries, refunds
of purchases with what the stores said; tells credits that a job holds though its time is over, and
entries in the default partition.
expected is what the ledger says.

p_user_id: one user; null: all.
p_from, p_until: only users with ids from the one to the other, both included. A call holds vacuum
back until it ends; a large database is walked in several, by the first digit of the ids say.

@returns [discrepancy]
@shape discrepancy {user_id: uuid, problem: text, expected: bigint?, actual: bigint?}
@raises PT403 service_only$$;

revoke execute on function public.reconcile_credits(uuid, uuid, uuid)
from public, anon, authenticated;
grant execute on function public.reconcile_credits(uuid, uuid, uuid) to service_role;
