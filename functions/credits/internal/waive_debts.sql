-- Locks: the user's row, which the caller holds.
create or replace function rendio.waive_debts(p_user_id uuid)
returns bigint
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_owed bigint := rendio.credits_owed(p_user_id);
begin
    if v_owed > 0 then
        update public.purchase_revocations as r
        set waived = r.revoked - r.recovered - r.repaid
        where r.user_id = p_user_id
            and r.policy <> 'forgive'
            and r.waived < r.revoked - r.recovered - r.repaid;
        perform rendio.set_blocked(p_user_id);
    end if;
    return v_owed;
end;
$$;

comment on function rendio.waive_debts(uuid) is
$$Forgive what a user owes for refunded purchases; returns how much it was.$$;

revoke execute on function rendio.waive_debts(uuid) from public, anon, authenticated;
