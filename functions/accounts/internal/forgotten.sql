create or replace function rendio.forgotten(p_identifier text)
returns text
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select encode(sha256(convert_to(p_identifier, 'UTF8')), 'hex');
$$;

comment on function rendio.forgotten(text) is
$$What is kept of a deleted account's device or Apple id: enough to know that its initial credits
were given, too little to know whose it was.$$;

revoke execute on function rendio.forgotten(text) from public, anon, authenticated;
