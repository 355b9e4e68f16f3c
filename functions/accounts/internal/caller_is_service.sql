-- Decided by the database role, never by a claim, which any SQL session can set. Reads the
-- setting `role`, so it stays parallel unsafe: before 15.9, 16.5 and 17.1 a parallel worker could
-- see another role (CVE-2024-10978).
create or replace function rendio.caller_is_service()
returns boolean
language sql
stable
parallel unsafe
begin atomic
    select pg_has_role(
        coalesce(nullif(current_setting('role'), 'none')::name, session_user),
        'service_role',
        'usage'
    );
end;

comment on function rendio.caller_is_service() is
$$Whether the role that calls has service_role, with inheritance.$$;

revoke execute on function rendio.caller_is_service() from public, anon, authenticated;
