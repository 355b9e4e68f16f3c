-- Locks: none; the caller holds the rows of both.
create or replace function rendio.move_debts(p_guest_id uuid, p_account_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (
        select from public.purchase_revocations as r where r.user_id = p_guest_id
    ) then
        return;
    end if;
    insert into public.purchase_revocations (
        user_id, origin, revoked, recovered, repaid, waived, policy, created_at
    )
    select p_account_id, r.origin, r.revoked, r.recovered, r.repaid, r.waived, r.policy,
        r.created_at
    from public.purchase_revocations as r
    where r.user_id = p_guest_id;
    delete from public.purchase_revocations as r where r.user_id = p_guest_id;
    perform rendio.set_blocked(p_guest_id);
    perform rendio.set_blocked(p_account_id);
end;
$$;

comment on function rendio.move_debts(uuid, uuid) is
$$Let the account owe what its guest did: signing in pays no debt.$$;

revoke execute on function rendio.move_debts(uuid, uuid) from public, anon, authenticated;
