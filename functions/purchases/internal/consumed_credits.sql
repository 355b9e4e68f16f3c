-- Credits that a job holds count as consumed: they may become a video any moment.
create or replace function rendio.consumed_credits(p_claim public.iap_transactions)
returns bigint
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_origin uuid;
    v_user public.users;
    v_kept bigint;
begin
    select g.origin into v_origin
    from public.credit_grants as g
    where g.user_id = p_claim.user_id and g.seq = p_claim.ledger_seq and g.n = 1;
    select * into v_user from public.users as u where u.id = p_claim.user_id;
    if v_user.merged_into is not null then
        select * into v_user from public.users as u where u.id = v_user.merged_into;
    end if;
    select coalesce(sum(g.remaining), 0)::bigint into v_kept
    from rendio.live_lots(v_user, rendio.clock()) as g
    where g.origin = v_origin;
    select v_kept + coalesce(sum(r.recovered), 0)::bigint into v_kept
    from public.purchase_revocations as r
    where r.user_id = v_user.id and r.origin = v_origin;
    return greatest(0, p_claim.credits_added - v_kept);
end;
$$;

comment on function rendio.consumed_credits(public.iap_transactions) is
$$How many of a purchase's credits are no longer there: spent, or held by a job.$$;

revoke execute on function rendio.consumed_credits(public.iap_transactions)
from public, anon, authenticated;
