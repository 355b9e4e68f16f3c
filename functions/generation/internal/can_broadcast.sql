-- What is asked here is all that a broadcast needs, so that none fails a webhook.
-- It will run as our owner, with the triggers of the table that it writes to: only what belongs to
-- the platform is called, not a function of that name by whoever could make a schema.
create or replace function rendio.can_broadcast()
returns boolean
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if to_regnamespace('realtime') is null then
        return false;  -- next to free, wherever this is not Supabase
    end if;
    return exists (
        select from pg_namespace as n
        join pg_proc as p on p.pronamespace = n.oid and p.proname = 'send'
        join pg_class as c on c.relnamespace = n.oid and c.relname = 'messages'
        where n.nspname = 'realtime'
            and oidvectortypes(p.proargtypes) = 'jsonb, text, text, boolean'
            and has_schema_privilege(n.oid, 'usage')
            and has_function_privilege(p.oid, 'execute')
            and has_table_privilege(c.oid, 'insert')
            and (
                select bool_and(r.rolsuper or r.rolname = 'supabase_realtime_admin')
                from pg_roles as r
                where r.oid in (p.proowner, c.relowner)
            )
    );
end;
$$;

comment on function rendio.can_broadcast() is
$$Whether realtime.send() is there, Supabase's own, and ours to call.$$;

revoke execute on function rendio.can_broadcast() from public, anon, authenticated;
