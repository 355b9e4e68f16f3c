-- JSON makes the encoding unambiguous: no two argument lists give the same text.
create or replace function rendio.request_hash(p_operation text, p_arguments jsonb)
returns bytea
language sql
immutable
parallel safe
security invoker
set search_path = ''
as $$
    select sha256(convert_to(p_operation || p_arguments::text, 'UTF8'));
$$;

comment on function rendio.request_hash(text, jsonb) is
$$SHA-256 over a function's name and its arguments: what makes two requests the same request.$$;

revoke execute on function rendio.request_hash(text, jsonb) from public, anon, authenticated;
