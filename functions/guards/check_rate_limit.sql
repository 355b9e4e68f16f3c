-- Locks: the subject's row, until the transaction ends: call it in one of its own, so that parallel
-- calls of one user wait for each other's count and not for each other's work.
create or replace function public.check_rate_limit(
    p_user_id uuid,
    p_endpoint text,
    p_cost integer default 1,
    p_subject text default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform rendio.require_service();
    perform rendio.check_text(p_endpoint, 'p_endpoint', 255);
    if p_cost is null or p_cost not between 1 and 1000000 then
        perform rendio.raise_invalid('p_cost', '1 to 1000000');
    elsif p_user_id is null then
        perform rendio.check_text(p_subject, 'p_subject', 255);
    end if;
    return rendio.rate_limit(
        coalesce('user:' || p_user_id, 'subject:' || p_subject), p_endpoint, p_cost
    );
end;
$$;

comment on function public.check_rate_limit(uuid, text, integer, text) is
$$Count a call against the limits, for all servers together, and say whether it may go on.

The rules are rows of rate_limit_rules; an endpoint without one is counted as general. As many calls
as a rule allows in its period may come at once; then one place comes back every period / requests.
A call that is not allowed is not counted. With the setting rate_limits false all are allowed, and
limit and remaining are null.
retry_after is in how many seconds this call would be allowed, 0 when it is; a call that costs more
than the rule has is never. reset_after: in how many seconds the whole allowance is back.

p_user_id: who calls; null: p_subject counts instead.
p_endpoint: generate, analysis, general, uploads, or a rule of your own.
p_cost: how many places the call takes.
p_subject: the device or address of a caller without a user, 1 to 255 characters.

@nullable p_user_id
@returns {allowed: boolean, limit: integer?, remaining: integer?, retry_after: integer,
    reset_after: integer}
@raises PT400 invalid_argument
@raises PT403 service_only
@raises PT413 payload_too_large$$;

revoke execute on function public.check_rate_limit(uuid, text, integer, text)
from public, anon, authenticated;
grant execute on function public.check_rate_limit(uuid, text, integer, text) to service_role;
