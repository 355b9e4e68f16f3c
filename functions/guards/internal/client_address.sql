-- The last address is what the nearest proxy saw; those before it are whatever the client wrote.
create or replace function rendio.client_address()
returns text
language plpgsql
stable
parallel unsafe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_seen text := regexp_replace(
        rendio.request_header(
            coalesce(rendio.setting('client_address_header') #>> '{}', 'x-forwarded-for')
        ),
        '^.*,', ''
    );
begin
    return rendio.address_network(
        coalesce(nullif(btrim(v_seen), ''), host(inet_client_addr()), 'local')
    );
end;
$$;

comment on function rendio.client_address() is
$$Where a request came from: the last address of the header that app_settings.client_address_header
names, else the connection's; of IPv6 its /64.$$;

revoke execute on function rendio.client_address() from public, anon, authenticated;
