-- How much of a purchase is taken back, in thousandths of a percent.
begin;
select plan(34);

-- Apple: a percentage, or all.
select is(rendio.revoked_share('refund', payload::jsonb), share, payload)
from (values
    ('{}', 100000),
    ('{"revocationPercentage": null}', 100000),
    ('{"revocationPercentage": 100000}', 100000),
    ('{"revocationPercentage": 99999}', 99999),
    ('{"revocationPercentage": 50000}', 50000),
    ('{"revocationPercentage": 1}', 1),
    ('{"revocationPercentage": 0}', 0),
    ('{"revocationPercentage": 50000, "quantity": 3}', 50000)
) as t (payload, share);

-- Google: all, or a part, which only the voided quantity tells.
select is(rendio.revoked_share('refund', payload::jsonb), share, payload)
from (values
    ('{"refundType": 1}', 100000),
    ('{"refundType": 2}', null),
    ('{"refundType": 2, "quantity": 3}', null),
    ('{"refundType": 2, "voidedQuantity": 1}', null),
    ('{"refundType": 2, "voidedQuantity": 0, "quantity": 3}', null),
    ('{"refundType": 2, "voidedQuantity": 1, "quantity": 0}', null),
    ('{"refundType": 2, "voidedQuantity": 1, "quantity": 3}', 33333),
    ('{"refundType": 2, "voidedQuantity": 2, "quantity": 3}', 66666),
    ('{"refundType": 2, "voidedQuantity": 3, "quantity": 3}', 100000),
    ('{"refundType": 2, "voidedQuantity": 4, "quantity": 3}', 100000),
    ('{"refundType": 2, "voidedQuantity": 1, "quantity": 100}', 1000),
    ('{"voidedQuantity": 1, "quantity": 2}', 50000)
) as t (payload, share);

-- What is no refund.
select is(
    rendio.revoked_share('reversal', '{"revocationPercentage": 50000, "refundType": 2}'), 0,
    'a reversal takes nothing back, whatever it says'
);
select is(
    rendio.revoked_share(kind, '{"revocationPercentage": 50000}'), null,
    kind || ' says nothing of it'
)
from unnest(array['purchase', 'declined', 'consumption', 'test', 'other']) as kind;

-- A number that is none is refused, also where it would not be used.
select throws_ok(
    format($$ select rendio.revoked_share(%L, %L) $$, kind, payload),
    'PT400', 'invalid_argument', kind || ' ' || payload
)
from (values
    ('refund', '{"revocationPercentage": 100001}'),
    ('refund', '{"revocationPercentage": -1}'),
    ('refund', '{"revocationPercentage": "50000"}'),
    ('refund', '{"revocationPercentage": 0.5}'),
    ('refund', '{"quantity": 101}'),
    ('refund', '{"voidedQuantity": 101}'),
    ('reversal', '{"revocationPercentage": 100001}'),
    ('purchase', '{"quantity": -1}')
) as t (kind, payload);

select * from finish();
rollback;
