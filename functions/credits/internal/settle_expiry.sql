-- Locks: the user's row. What was lost is written before anything may draw, merge, claw back or
-- quote, and ledger_at moves on even when nothing was: no later entry is dated before a lot's end
-- that this has passed.
create or replace function rendio.settle_expiry(p_user_id uuid, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_user public.users;
    v_at timestamptz;
    v_lot public.credit_grants;
begin
    select * into v_user from public.users as u where u.id = p_user_id for no key update;
    v_at := greatest(v_user.ledger_at, p_at);
    if v_user.next_expiry_at > v_at then
        return;
    end if;

    perform rendio.fold_lots(p_user_id);
    for v_lot in
        select *
        from public.credit_grants as g
        where g.user_id = p_user_id and g.remaining > 0 and g.expires_at <= v_at
        order by g.expires_at, g.seq, g.n
    loop
        perform rendio.post_entry(
            p_user_id, -v_lot.remaining, 'credit_expired', null, v_at, v_lot.is_sandbox,
            p_lot_seq => v_lot.seq, p_lot_n => v_lot.n
        );
    end loop;
    perform rendio.fold_lots(p_user_id);

    update public.users as u
    set ledger_at = v_at,
        next_expiry_at = coalesce(
            (
                select min(g.expires_at)
                from public.credit_grants as g
                where g.user_id = p_user_id and g.expires_at > v_at
            ),
            'infinity'
        )
    where u.id = p_user_id;
end;
$$;

comment on function rendio.settle_expiry(uuid, timestamptz) is
$$Take a user's expired credits out of the balance, one ledger entry for each lot that had some.$$;

revoke execute on function rendio.settle_expiry(uuid, timestamptz)
from public, anon, authenticated;
