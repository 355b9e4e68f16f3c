-- Half a SHA-256 is plenty to tell one user's requests under one key apart, and every generation
-- writes it. `begin atomic` and no `set`, so that it inlines into the hot path; its names are bound
-- already.
create or replace function rendio.request_hash(p_request text)
returns bytea
language sql
stable
parallel safe
security invoker
begin atomic
    select substring(sha256(convert_to(p_request, 'UTF8')) for 16);
end;

comment on function rendio.request_hash(text) is
$$128 bits of SHA-256 over a request: what makes two requests the same.

p_request names the function and all arguments but the key, so that no two argument lists give the
same text: as a JSON array, or with one free text only, at the end.$$;

revoke execute on function rendio.request_hash(text) from public, anon, authenticated;
