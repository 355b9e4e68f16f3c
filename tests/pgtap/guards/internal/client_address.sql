-- Where a request came from, as far as it can be believed.
begin;
select plan(8);

select is(
    rendio.client_address(), coalesce(host(inet_client_addr()), 'local'),
    'without a proxy the connection tells'
);
set local request.headers = '{"x-forwarded-for": "203.0.113.7"}';
select is(rendio.client_address(), '203.0.113.7', 'behind one the proxy does');
set local request.headers = '{"x-forwarded-for": "198.51.100.1, 10.0.0.1 ,203.0.113.7 "}';
select is(rendio.client_address(), '203.0.113.7', 'the nearest one: the client wrote the others');
set local request.headers = '{"x-forwarded-for": "198.51.100.1, "}';
select is(
    rendio.client_address(), coalesce(host(inet_client_addr()), 'local'), 'an empty one says nothing'
);
set local request.headers = '{"x-forwarded-for": null}';
select is(rendio.client_address(), coalesce(host(inet_client_addr()), 'local'), 'nor does none');

set local request.headers = '{"x-forwarded-for": "198.51.100.1", "cf-connecting-ip": "203.0.113.7"}';
update public.app_settings set value = '"cf-connecting-ip"' where key = 'client_address_header';
select is(rendio.client_address(), '203.0.113.7', 'another header is believed when one is set');
delete from public.app_settings where key = 'client_address_header';
select is(rendio.client_address(), '198.51.100.1', 'X-Forwarded-For when none is');

set local request.headers = '{"x-forwarded-for": "2001:DB8::1"}';
select is(rendio.client_address(), '2001:db8::/64', 'of IPv6 the network');

select * from finish();
rollback;
