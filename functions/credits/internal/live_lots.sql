create or replace function rendio.live_lots(p_user public.users, p_at timestamptz)
returns setof public.credit_grants
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select g.*
    from unnest((rendio.project_lots(p_user)).lots) as g
    where g.remaining > 0 and g.expires_at > greatest(p_user.ledger_at, p_at);
$$;

comment on function rendio.live_lots(public.users, timestamptz) is
$$A user's lots that have credits and have not expired, settled or not. Writes nothing.$$;

revoke execute on function rendio.live_lots(public.users, timestamptz)
from public, anon, authenticated;
