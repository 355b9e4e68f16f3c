-- A household or a server has a /64 of IPv6 to itself: counted one by one, its addresses would be
-- no limit at all. The handler's subtransaction writes nothing and takes no transaction id.
create or replace function rendio.address_network(p_address text)
returns text
language plpgsql
immutable
parallel unsafe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_address inet;
begin
    v_address := p_address::inet;
    if family(v_address) = 4 then
        return host(v_address);
    elsif v_address << '::ffff:0:0/96' then
        return host('0.0.0.0'::inet + (v_address - '::ffff:0:0'::inet));
    end if;
    return network(set_masklen(v_address, 64))::text;
exception
    when invalid_text_representation then
        return p_address;
end;
$$;

comment on function rendio.address_network(text) is
$$Whom an address stands for: an IPv4 address, also written as IPv6, itself; an IPv6 address its
/64; what is no address is returned as it is.$$;

revoke execute on function rendio.address_network(text) from public, anon, authenticated;
