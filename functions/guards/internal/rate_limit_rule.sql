create or replace function rendio.rate_limit_rule(p_endpoint text)
returns public.rate_limit_rules
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rule public.rate_limit_rules;
begin
    if rendio.setting('rate_limits') = 'false' then
        return null;
    end if;
    select * into v_rule
    from public.rate_limit_rules as r
    where r.endpoint in (p_endpoint, 'general')
    order by r.endpoint = 'general'
    limit 1;
    return v_rule;
end;
$$;

comment on function rendio.rate_limit_rule(text) is
$$The rule that an endpoint is counted by; null when nothing limits it.$$;

revoke execute on function rendio.rate_limit_rule(text) from public, anon, authenticated;
