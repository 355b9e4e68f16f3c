-- Locks: the caller holds the user's row. What is owed is given up first; then what was taken comes
-- back as a lot of the purchase, so that the store can take it once more. A waiver ends with the
-- debt that it was given for.
create or replace function rendio.reverse_revocation(
    p_before public.purchase_revocations,
    p_revoked bigint,
    p_at timestamptz,
    p_is_sandbox boolean
)
returns bigint
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_back bigint := greatest(0, p_before.recovered + p_before.repaid - p_revoked);
    v_repaid bigint := least(v_back, p_before.repaid);
begin
    update public.purchase_revocations as r
    set revoked = p_revoked,
        recovered = r.recovered - (v_back - v_repaid),
        repaid = r.repaid - v_repaid,
        waived = least(r.waived, p_revoked)
    where r.user_id = p_before.user_id and r.origin = p_before.origin;
    perform rendio.set_blocked(p_before.user_id);
    if v_back > 0 then
        perform rendio.post_entry(
            p_before.user_id, v_back, 'iap_refund_reversed', null, p_at, p_is_sandbox,
            p_origin => p_before.origin
        );
    end if;
    return v_back;
end;
$$;

comment on function rendio.reverse_revocation(
    public.purchase_revocations, bigint, timestamptz, boolean
) is
$$Lower what a store has taken back of a purchase to p_revoked credits; returns what the user gets
back.$$;

revoke execute on function rendio.reverse_revocation(
    public.purchase_revocations, bigint, timestamptz, boolean
) from public, anon, authenticated;
