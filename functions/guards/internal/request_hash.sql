-- Half a SHA-256 is plenty to tell one user's requests under one key apart, and every generation
-- writes it. JSON makes the encoding unambiguous: no two argument lists give the same text.
-- `begin atomic` and no `set`, so that it inlines into the hot path; its names are bound already.
create or replace function rendio.request_hash(p_operation text, p_arguments jsonb)
returns bytea
language sql
stable
parallel safe
security invoker
begin atomic
    select substring(sha256(convert_to(p_operation || p_arguments::text, 'UTF8')) for 16);
end;

comment on function rendio.request_hash(text, jsonb) is
$$128 bits of SHA-256 over a function's name and its arguments: what makes two requests the same.$$;

revoke execute on function rendio.request_hash(text, jsonb) from public, anon, authenticated;
