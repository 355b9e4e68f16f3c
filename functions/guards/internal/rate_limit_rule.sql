create or replace function rendio.rate_limit_rule(p_endpoint text)
returns public.rate_limit_rules
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_setting jsonb := rendio.setting('rate_limits');
    v_rule public.rate_limit_rules;
begin
    select * into v_rule
    from public.rate_limit_rules as r
    where r.endpoint in (p_endpoint, 'general')
    order by r.endpoint = 'general'
    limit 1;
    if v_setting = 'false' or v_setting -> v_rule.endpoint = 'false' then
        return null;
    end if;
    return v_rule;
end;
$$;

comment on function rendio.rate_limit_rule(text) is
$$The rule that an endpoint is counted by; null when none is, or when app_settings.rate_limits
switches it off.$$;

revoke execute on function rendio.rate_limit_rule(text) from public, anon, authenticated;
