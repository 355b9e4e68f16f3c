-- What the stores' words mean.
begin;
select plan(16);

select is(rendio.notification_kind(type), kind, coalesce(type, 'none') || ' is ' || kind)
from (values
    ('ONE_TIME_CHARGE', 'purchase'), ('ONE_TIME_PRODUCT_PURCHASED', 'purchase'),
    ('REFUND', 'refund'), ('REVOKE', 'refund'), ('VOIDED_PURCHASE', 'refund'),
    ('REFUND_REVERSED', 'reversal'), ('REFUND_DECLINED', 'declined'),
    ('CONSUMPTION_REQUEST', 'consumption'), ('TEST', 'test'),
    -- Nothing that we know moves money.
    ('ONE_TIME_PRODUCT_CANCELED', 'other'), ('DID_RENEW', 'other'), ('refund', 'other'),
    ('REFUND ', 'other'), ('other', 'other'), ('', 'other'), (null, 'other')
) as t (type, kind);

select * from finish();
rollback;
