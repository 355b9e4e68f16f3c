-- How much of a purchase is taken back, in thousandths of a percent.
begin;
select plan(41);

-- Apple: a percentage, or all.
select is(round(rendio.revoked_share('refund', payload::jsonb), 2), share::numeric, payload)
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
select is(round(rendio.revoked_share('refund', payload::jsonb), 2), share::numeric, payload)
from (values
    ('{"refundType": 1}', 100000),
    ('{"refundType": 2}', null),
    ('{"refundType": 2, "quantity": 3}', null),
    ('{"refundType": 2, "voidedQuantity": 1}', null),
    ('{"refundType": 2, "voidedQuantity": 0, "quantity": 3}', null),
    ('{"refundType": 2, "voidedQuantity": 1, "quantity": 0}', null),
    ('{"refundType": 2, "voidedQuantity": 1, "quantity": 3}', 33333.33),
    ('{"refundType": 2, "voidedQuantity": 2, "quantity": 3}', 66666.67),
    ('{"refundType": 2, "voidedQuantity": 3, "quantity": 3}', 100000),
    ('{"refundType": 2, "voidedQuantity": 4, "quantity": 3}', 100000),
    ('{"refundType": 2, "voidedQuantity": 1, "quantity": 100}', 1000),
    ('{"voidedQuantity": 1, "quantity": 2}', 50000),
    ('{"refundType": "1"}', 100000),
    ('{"refundType": "2"}', null),
    ('{"refundType": "2", "voidedQuantity": 1, "quantity": 3}', 33333.33)
) as t (payload, share);

-- What is no refund.
select is(
    rendio.revoked_share('reversal', '{"revocationPercentage": 50000, "refundType": 2}'), 0::numeric,
    'a reversal takes nothing back, whatever it says'
);
select is(
    rendio.revoked_share(kind, '{"revocationPercentage": 50000}'), null,
    kind || ' says nothing of it'
)
from unnest(array['purchase', 'declined', 'consumption', 'test', 'other']) as kind;
select is(
    rendio.revoked_share(null, '{"revocationPercentage": 50000}'), null, 'nor does one of no kind'
);

-- A refund's number that is none is refused, also where it would not be used.
select throws_ok(
    format($$ select rendio.revoked_share('refund', %L) $$, payload),
    'PT400', 'invalid_argument', payload
)
from (values
    ('{"revocationPercentage": 100001}'),
    ('{"revocationPercentage": -1}'),
    ('{"revocationPercentage": "50000"}'),
    ('{"revocationPercentage": 0.5}'),
    ('{"quantity": 101}'),
    ('{"voidedQuantity": 101}')
) as t (payload);

-- Of anything else the numbers are not read: they must not keep the store's message out.
select is(rendio.revoked_share(kind, payload::jsonb), share::numeric, kind || ' ' || payload)
from (values
    ('reversal', '{"revocationPercentage": 100001}', 0),
    ('reversal', '{"quantity": 101, "voidedQuantity": -1}', 0),
    ('purchase', '{"quantity": -1}', null),
    ('consumption', '{"quantity": "three"}', null),
    ('other', '{"voidedQuantity": 0.5, "revocationPercentage": []}', null)
) as t (kind, payload, share);

select * from finish();
rollback;
