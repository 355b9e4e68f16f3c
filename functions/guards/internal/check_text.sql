create or replace function rendio.check_text(p_value text, p_argument text, p_limit integer)
returns void
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_value is null or p_value = '' then
        perform rendio.raise_invalid(p_argument, 'required, not empty');
    elsif length(p_value) > p_limit then
        perform rendio.raise_too_large(p_argument, p_limit || ' characters');
    end if;
end;
$$;

comment on function rendio.check_text(text, text, integer) is
$$Refuse a text argument that is missing, empty or longer than p_limit characters.

@raises PT400 invalid_argument
@raises PT413 payload_too_large$$;

revoke execute on function rendio.check_text(text, text, integer) from public, anon, authenticated;
