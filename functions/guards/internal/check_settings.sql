create or replace function rendio.check_settings(p_settings jsonb)
returns void
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if jsonb_typeof(p_settings) <> 'object' then
        perform rendio.raise_invalid('p_settings', 'a JSON object');
    elsif octet_length(p_settings::text) > 16384 then
        perform rendio.raise_too_large('p_settings', '16384 bytes');
    end if;
end;
$$;

comment on function rendio.check_settings(jsonb) is
$$Refuse settings of a generation that are not an object of at most 16 KB.

@raises PT400 invalid_argument
@raises PT413 payload_too_large$$;

revoke execute on function rendio.check_settings(jsonb) from public, anon, authenticated;
