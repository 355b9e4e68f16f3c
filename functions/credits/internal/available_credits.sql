create or replace function rendio.available_credits(p_user public.users, p_at timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_user.next_expiry_at > greatest(p_user.ledger_at, p_at) then
        return p_user.credits_remaining;
    end if;
    return (
        select coalesce(sum(g.remaining), 0)::bigint from rendio.live_lots(p_user, p_at) as g
    );
end;
$$;

comment on function rendio.available_credits(public.users, timestamptz) is
$$What a user can spend: the balance without what has expired and is not settled yet.$$;

revoke execute on function rendio.available_credits(public.users, timestamptz)
from public, anon, authenticated;
