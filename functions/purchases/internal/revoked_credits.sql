create or replace function rendio.revoked_credits(p_credits integer, p_share numeric)
returns bigint
language sql
immutable
parallel safe
security invoker
begin atomic
    -- Rounded first: a third of three is one.
    select floor(round(p_credits * p_share / 100000, 6))::bigint;
end;

comment on function rendio.revoked_credits(integer, numeric) is
$$How many of a purchase's credits a share of it is, in thousandths of a percent; a part of a credit
stays with the user.$$;

revoke execute on function rendio.revoked_credits(integer, numeric)
from public, anon, authenticated;
