-- Locks: the caller holds the transaction's claim; then the buyer's row, then the account's that
-- the buyer was merged into: there all that is left of the purchase has gone.
create or replace function rendio.settle_revocation(
    p_claim public.iap_transactions,
    p_at timestamptz
)
returns bigint
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_revoked bigint := coalesce(
        rendio.revoked_credits(
            p_claim.credits_added, (rendio.latest_revocation(p_claim)).revoked_share
        ),
        0
    );
    v_origin uuid;
    v_owner public.users;
    v_before public.purchase_revocations;
begin
    select g.origin into v_origin
    from public.credit_grants as g
    where g.user_id = p_claim.user_id and g.seq = p_claim.ledger_seq and g.n = 1;
    if v_origin is null then
        return 0;
    end if;
    v_owner := rendio.lock_person(p_claim.user_id);
    select * into v_before
    from public.purchase_revocations as r
    where r.user_id = v_owner.id and r.origin = v_origin;

    if v_revoked > coalesce(v_before.revoked, 0) then
        insert into public.purchase_revocations as r (
            user_id, origin, revoked, policy, created_at
        )
        values (
            v_owner.id,
            v_origin,
            v_revoked,
            case
                when p_claim.environment = 'Sandbox' or v_owner.deleted_at is not null
                    then 'forgive'
                else coalesce(rendio.setting('refund_shortfall') #>> '{}', 'forgive')
            end,
            p_at
        )
        on conflict (user_id, origin) do update
        set revoked = excluded.revoked,
            policy = excluded.policy,
            -- What was forgiven stays so.
            waived = case r.policy
                when 'forgive' then r.revoked - r.recovered - r.repaid
                else r.waived
            end;
        return -rendio.collect_debts(v_owner.id, p_at);
    elsif v_revoked < v_before.revoked then
        return rendio.reverse_revocation(
            v_before, v_revoked, p_at, p_claim.environment = 'Sandbox'
        );
    end if;
    return 0;
end;
$$;

comment on function rendio.settle_revocation(public.iap_transactions, timestamptz) is
$$Take from the buyer, or give back, what makes a purchase what the store last said it is; returns
the credits given (positive) or taken.$$;

revoke execute on function rendio.settle_revocation(public.iap_transactions, timestamptz)
from public, anon, authenticated;
