-- How many credits a share of a purchase is.
begin;
select plan(8);

select is(
    rendio.revoked_credits(credits, share), expected::bigint,
    format('%s of %s credits are %s', share, credits, expected)
)
from (values
    (50, 0, 0), (50, 100000, 50), (50, 50000, 25), (1, 99999, 0), (3, 50000, 1),
    (60, 100000.0 / 3, 20), (1000000, 100000.0 / 3, 333333), (1000000, 200000.0 / 3, 666666)
) as t (credits, share, expected);

select * from finish();
rollback;
