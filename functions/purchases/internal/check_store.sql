create or replace function rendio.check_store(p_store text, p_environment text)
returns void
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_store is null or p_store not in ('app_store', 'google_play') then
        perform rendio.raise_invalid('p_store', 'app_store or google_play');
    elsif p_environment is null or p_environment not in ('Production', 'Sandbox') then
        perform rendio.raise_invalid('p_environment', 'Production or Sandbox');
    end if;
end;
$$;

comment on function rendio.check_store(text, text) is
$$Refuse a store or an environment that does not exist.

@raises PT400 invalid_argument$$;

revoke execute on function rendio.check_store(text, text) from public, anon, authenticated;
