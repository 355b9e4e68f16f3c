create or replace function rendio.require_service()
returns void
language plpgsql
stable
parallel unsafe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if not rendio.caller_is_service() then
        raise sqlstate 'PT403' using
            message = 'service_only',
            detail = '{}',
            hint = 'Call this from a backend with the service role.';
    end if;
end;
$$;

comment on function rendio.require_service() is
$$Let only the service pass; the first statement of such an RPC.

@raises PT403 service_only$$;

revoke execute on function rendio.require_service() from public, anon, authenticated;
