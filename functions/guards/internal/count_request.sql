-- The generic cell rate algorithm. A rule gives a place back every period / requests; full_at is
-- when all will be back, so a call moves it on by one place, and is refused when that is more than
-- a period away. One statement decides: the row's lock orders parallel callers, and a refused call
-- writes nothing. Counted from p_at, which was taken before that lock: time that a caller spent
-- waiting is not held against it.
-- A row that leads further than any call by this rule could was left by a rule that has changed, or
-- by a clock that was set back: it counts as empty, or it would refuse for as long as that.
-- Locks: the subject's row.
create or replace function rendio.count_request(
    p_subject text,
    p_rule public.rate_limit_rules,
    p_cost integer,
    p_at timestamptz,
    out allowed boolean,
    out full_at timestamptz
)
returns record
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_cost interval := p_rule.period * p_cost / p_rule.requests;
    v_latest timestamptz := p_at + p_rule.period + interval '1 minute';
begin
    insert into public.rate_limits as r (subject, endpoint, full_at)
    select p_subject, p_rule.endpoint, p_at + v_cost
    where p_cost <= p_rule.requests
    on conflict (subject, endpoint) do update
    set full_at = case
        when r.full_at > v_latest then p_at
        else greatest(r.full_at, p_at)
    end + v_cost
    where greatest(r.full_at, p_at) + v_cost <= p_at + p_rule.period or r.full_at > v_latest
    returning r.full_at into full_at;
    allowed := found;
    if not allowed then
        select r.full_at into full_at
        from public.rate_limits as r
        where r.subject = p_subject and r.endpoint = p_rule.endpoint;
    end if;
    full_at := greatest(full_at, p_at);
end;
$$;

comment on function rendio.count_request(
    text, public.rate_limit_rules, integer, timestamptz
) is
$$Count a call of p_cost places, if the rule has room for it; full_at is when all of it is back.$$;

revoke execute on function rendio.count_request(
    text, public.rate_limit_rules, integer, timestamptz
) from public, anon, authenticated;
