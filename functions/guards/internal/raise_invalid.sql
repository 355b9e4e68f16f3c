create or replace function rendio.raise_invalid(p_argument text, p_rule text)
returns void
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    raise sqlstate 'PT400' using
        message = 'invalid_argument',
        detail = jsonb_build_object('argument', p_argument, 'rule', p_rule)::text,
        hint = 'Correct the argument; repeating the call unchanged will not help.';
end;
$$;

comment on function rendio.raise_invalid(text, text) is
$$Refuse an argument, naming it and the rule it breaks.

@raises PT400 invalid_argument$$;

revoke execute on function rendio.raise_invalid(text, text) from public, anon, authenticated;
