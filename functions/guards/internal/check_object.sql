create or replace function rendio.check_object(p_value jsonb, p_argument text)
returns void
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_value is null or jsonb_typeof(p_value) <> 'object' then
        perform rendio.raise_invalid(p_argument, 'a JSON object');
    elsif octet_length(p_value::text) > 16384 then
        perform rendio.raise_too_large(p_argument, '16384 bytes');
    end if;
end;
$$;

comment on function rendio.check_object(jsonb, text) is
$$Refuse a JSON argument that is not an object of at most 16 KB.

@raises PT400 invalid_argument
@raises PT413 payload_too_large$$;

revoke execute on function rendio.check_object(jsonb, text) from public, anon, authenticated;
