create or replace function rendio.add_response_headers(p_headers jsonb)
returns void
language plpgsql
stable
parallel unsafe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_others jsonb := '[]'::jsonb;
begin
    if p_headers = '{}' then
        return;
    end if;
    if current_setting('response.headers', true) <> '' then
        select coalesce(jsonb_agg(h), '[]') into v_others
        from jsonb_array_elements(current_setting('response.headers')::jsonb) as h
        where not h ?| array(select jsonb_object_keys(p_headers));
    end if;
    perform set_config(
        'response.headers',
        (
            select v_others || jsonb_agg(jsonb_build_object(h.key, h.value))
            from jsonb_each(p_headers) as h
        )::text,
        true
    );
end;
$$;

comment on function rendio.add_response_headers(jsonb) is
$$Let PostgREST (or rendio serve) send these headers, {name: value}, beside those set before in the
transaction; one set before is replaced.$$;

revoke execute on function rendio.add_response_headers(jsonb) from public, anon, authenticated;
