-- Whom an address stands for.
begin;
select plan(10);

select is(rendio.address_network(given), expected, format('%s is %s', given, expected))
from (values
    ('203.0.113.7', '203.0.113.7'),
    ('203.0.113.7/24', '203.0.113.7'),
    ('2001:db8::1', '2001:db8::/64'),
    ('2001:0DB8:0:0:ffff::9', '2001:db8::/64'),
    ('2001:db8:0:1::1', '2001:db8:0:1::/64'),
    ('::ffff:203.0.113.7', '203.0.113.7'),
    ('::ffff:cb00:7107', '203.0.113.7'),
    ('203.0.113.7:443', '203.0.113.7:443'),
    ('local', 'local')
) as a (given, expected);
select is(rendio.address_network(null), null, 'no address is none');

select * from finish();
rollback;
