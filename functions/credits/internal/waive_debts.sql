-- Locks: the user's row, which the caller holds.
create or replace function rendio.waive_debts(p_user_id uuid)
returns bigint
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_owed bigint;
begin
    with waived as (
        update public.purchase_revocations as r
        set policy = 'forgive'
        where r.user_id = p_user_id and r.recovered < r.revoked and r.policy <> 'forgive'
        returning r.revoked - r.recovered as credits
    )

    select coalesce(sum(w.credits), 0)::bigint into v_owed from waived as w;
    if v_owed > 0 then
        perform rendio.set_blocked(p_user_id);
    end if;
    return v_owed;
end;
$$;

comment on function rendio.waive_debts(uuid) is
$$Forgive what a user owes for refunded purchases; returns how much it was.$$;

revoke execute on function rendio.waive_debts(uuid) from public, anon, authenticated;
