create or replace function rendio.refund_expiry(p_user_id uuid, p_at timestamptz)
returns timestamptz
language sql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select p_at + rendio.refund_grace()
    where exists (
        select from public.credit_grants as g where g.user_id = p_user_id and g.expires_at <= p_at
    );
$$;

comment on function rendio.refund_expiry(uuid, timestamptz) is
$$When credits refunded now would expire if their lot has; null when no lot of the user has.$$;

revoke execute on function rendio.refund_expiry(uuid, timestamptz)
from public, anon, authenticated;
