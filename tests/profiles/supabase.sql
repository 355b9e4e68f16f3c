-- What a new Supabase project's database holds besides the roles. Run by its superuser in a
-- database that postgres owns, after auth.sql, realtime.sql and storage.sql.

alter schema auth owner to supabase_auth_admin;
alter table auth.users owner to supabase_auth_admin;
alter function auth.jwt() owner to supabase_auth_admin;
alter function auth.uid() owner to supabase_auth_admin;
alter function auth.role() owner to supabase_auth_admin;
alter function auth.email() owner to supabase_auth_admin;

grant usage on schema auth to postgres;
grant select, insert, update, delete, references, trigger on auth.users to postgres;

grant usage on schema storage to postgres;
grant all on storage.buckets, storage.objects to postgres with grant option;

grant usage on schema public to anon, authenticated, service_role;

create schema extensions authorization postgres;
grant usage on schema extensions to anon, authenticated, service_role;

alter publication supabase_realtime owner to postgres;

-- The extensions that every project starts with, where the server has them.
do $$
declare
    v_extension text;
begin
    for v_extension in
        select available.name
        from pg_catalog.pg_available_extensions as available
        where available.name in ('pgcrypto', 'uuid-ossp', 'pg_stat_statements')
    loop
        execute format('create extension %I schema extensions', v_extension);
    end loop;
end
$$;
