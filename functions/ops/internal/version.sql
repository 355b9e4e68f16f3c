-- The one place that holds the release number: the Python distribution reads it from here.
create or replace function rendio.version()
returns text
language sql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
    select '0.1.0'::text;
$$;

comment on function rendio.version() is
$$The release of the SQL in this database, the same number that `rendio --version` prints.$$;

revoke execute on function rendio.version() from public, anon, authenticated;
