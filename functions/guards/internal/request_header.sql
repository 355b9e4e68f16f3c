-- The handler's subtransaction writes nothing and takes no transaction id.
create or replace function rendio.request_header(p_name text)
returns text
language plpgsql
stable
parallel unsafe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    return nullif(current_setting('request.headers', true), '')::jsonb ->> p_name;
exception
    when invalid_text_representation or untranslatable_character or numeric_value_out_of_range
        or program_limit_exceeded or statement_too_complex then
        return null;
end;
$$;

comment on function rendio.request_header(text) is
$$A header of the HTTP request, by its name in lower case, where PostgREST (or rendio serve) passes
them on; null elsewhere.$$;

revoke execute on function rendio.request_header(text) from public, anon, authenticated;
