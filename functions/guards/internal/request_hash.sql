-- JSON makes the encoding unambiguous: no two argument lists give the same text. `begin atomic`
-- and no `set`, so that it inlines into the hot path; its names were bound when it was made.
create or replace function rendio.request_hash(p_operation text, p_arguments jsonb)
returns bytea
language sql
stable
parallel safe
security invoker
begin atomic
    select sha256(convert_to(p_operation || p_arguments::text, 'UTF8'));
end;

comment on function rendio.request_hash(text, jsonb) is
$$SHA-256 over a function's name and its arguments: what makes two requests the same request.$$;

revoke execute on function rendio.request_hash(text, jsonb) from public, anon, authenticated;
