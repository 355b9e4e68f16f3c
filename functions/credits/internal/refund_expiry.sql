create or replace function rendio.refund_expiry(p_user_id uuid, p_at timestamptz)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (
        select from public.credit_grants as g where g.user_id = p_user_id and g.expires_at <= p_at
    ) then
        return p_at + rendio.refund_grace();
    end if;
    return null;
end;
$$;

comment on function rendio.refund_expiry(uuid, timestamptz) is
$$When credits refunded now would expire if their lot has; null when no lot of the user has.$$;

revoke execute on function rendio.refund_expiry(uuid, timestamptz)
from public, anon, authenticated;
