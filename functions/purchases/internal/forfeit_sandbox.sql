-- Without this a guest for each purchase, signed in afterwards, would be as many caps.
-- Locks: the guest's row; the caller holds the account's.
create or replace function rendio.forfeit_sandbox(
    p_guest_id uuid,
    p_account_id uuid,
    p_at timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_room bigint;
    v_lot public.credit_grants;
begin
    if rendio.setting('sandbox_purchases') <> '"capped"'
        or not exists (
            select
            from public.credit_grants as g
            where g.user_id = p_guest_id and g.is_sandbox and g.remaining > 0
        )
    then
        return;
    end if;
    perform from public.users as u where u.id = p_guest_id for no key update;
    perform rendio.settle_expiry(p_guest_id, p_at);
    perform rendio.fold_lots(p_guest_id);
    v_room := rendio.sandbox_room(p_account_id);
    for v_lot in
        select *
        from public.credit_grants as g
        where g.user_id = p_guest_id and g.remaining > 0 and g.is_sandbox
        order by g.seq, g.n
    loop
        if v_lot.remaining > v_room then
            perform rendio.post_entry(
                p_guest_id, v_room - v_lot.remaining, 'credit_expired', null, p_at, true,
                p_lot_seq => v_lot.seq, p_lot_n => v_lot.n
            );
        end if;
        v_room := greatest(0, v_room - v_lot.remaining);
    end loop;
end;
$$;

comment on function rendio.forfeit_sandbox(uuid, uuid, timestamptz) is
$$Take from a guest, before it is merged, the sandbox credits that the account has no room for.$$;

revoke execute on function rendio.forfeit_sandbox(uuid, uuid, timestamptz)
from public, anon, authenticated;
