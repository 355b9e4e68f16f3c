-- Locks: see rendio.count_request.
create or replace function rendio.rate_limit(
    p_subject text,
    p_endpoint text,
    p_cost integer
)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := rendio.clock();
    v_rule public.rate_limit_rules := rendio.rate_limit_rule(p_endpoint);
    v_full_at timestamptz;
    v_allowed boolean;
begin
    if v_rule.endpoint is null then
        return jsonb_build_object(
            'allowed', true, 'limit', null, 'remaining', null, 'retry_after', 0, 'reset_after', 0
        );
    end if;
    select c.allowed, c.full_at into v_allowed, v_full_at
    from rendio.count_request(p_subject, v_rule, p_cost, v_now) as c;
    return jsonb_build_object(
        'allowed', v_allowed,
        'limit', v_rule.requests,
        -- Rounded first: a place is a whole number of microseconds only by chance.
        'remaining', floor(
            round(
                extract(epoch from v_now + v_rule.period - v_full_at) * v_rule.requests
                / extract(epoch from v_rule.period),
                5
            )
        )::integer,
        'retry_after', case
            when v_allowed then 0
            else greatest(
                1,
                ceil(
                    extract(
                        epoch from v_full_at + v_rule.period * p_cost / v_rule.requests
                        - v_rule.period - v_now
                    )
                )
            )::integer
        end,
        'reset_after', ceil(extract(epoch from v_full_at - v_now))::integer
    );
end;
$$;

comment on function rendio.rate_limit(text, text, integer) is
$$Count a call by the rule of its endpoint and say what is left, as check_rate_limit answers.$$;

revoke execute on function rendio.rate_limit(text, text, integer)
from public, anon, authenticated;
