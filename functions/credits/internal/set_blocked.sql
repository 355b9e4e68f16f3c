-- Locks: the user's row, which the caller holds.
create or replace function rendio.set_blocked(p_user_id uuid)
returns void
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_is_blocked boolean := exists (
        select from public.purchase_revocations as r
        where r.user_id = p_user_id
            and r.policy = 'block'
            and r.recovered + r.repaid + r.waived < r.revoked
    );
begin
    update public.users as u
    set is_blocked = v_is_blocked
    where u.id = p_user_id and u.is_blocked <> v_is_blocked;
end;
$$;

comment on function rendio.set_blocked(uuid) is
$$Let a user spend, or not, by what is owed under the policy block.$$;

revoke execute on function rendio.set_blocked(uuid) from public, anon, authenticated;
