-- The roles of a Supabase project, as its superuser supabase_admin makes them. The role that
-- people log in as, postgres, is no superuser: it may create databases and roles, passes row
-- security, and can hand the API roles on.

do $$
begin
    if to_regrole('postgres') is null then
        create role postgres login nosuperuser createdb createrole replication bypassrls;
    end if;
    if to_regrole('authenticator') is null then
        create role authenticator login noinherit;
    end if;
    if to_regrole('supabase_auth_admin') is null then
        create role supabase_auth_admin login noinherit createrole;
    end if;
    if to_regrole('supabase_storage_admin') is null then
        create role supabase_storage_admin login noinherit createrole;
    end if;
    if to_regrole('supabase_realtime_admin') is null then
        create role supabase_realtime_admin nologin noinherit;
    end if;
end
$$;

alter role postgres set search_path = "$user", public, extensions;

grant anon, authenticated, service_role to postgres with admin option;
grant anon, authenticated, service_role to authenticator;
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres;

-- Supabase's server lets postgres make policies on tables of these roles without being a member; a
-- plain server has nothing narrower than membership. What it would let through besides, such as
-- ALTER TABLE, fails there: the tests read policies/storage.sql for it.
grant supabase_storage_admin, supabase_realtime_admin to postgres;
