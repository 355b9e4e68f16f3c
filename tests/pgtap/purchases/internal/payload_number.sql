-- A whole number of what a store sent, or nothing; never a guess.
begin;
select plan(20);

select is(
    rendio.payload_number(payload::jsonb, 'quantity', 100), number, payload
)
from (values
    ('{"quantity": 0}', 0::bigint), ('{"quantity": 1}', 1), ('{"quantity": 100}', 100),
    ('{"quantity": 5.0}', 5), ('{"quantity": 1e2}', 100), ('{"quantity": null}', null),
    ('{}', null), ('{"Quantity": 5}', null), ('{"of": {"quantity": 5}}', null)
) as t (payload, number);
select is(
    rendio.payload_number('{"purchaseDate": 253402300799999}', 'purchaseDate', 253402300799999),
    253402300799999, 'the last moment of the year 9999'
);
select throws_ok(
    format($$ select rendio.payload_number(%L, 'quantity', 100) $$, payload),
    'PT400', 'invalid_argument', payload
)
from unnest(array[
    '{"quantity": 101}', '{"quantity": -1}', '{"quantity": 0.5}', '{"quantity": 99.999}',
    '{"quantity": 1e400}', '{"quantity": "5"}', '{"quantity": "all"}', '{"quantity": true}',
    '{"quantity": [5]}'
]) as payload;

do $$
declare
    v_detail text;
begin
    perform rendio.payload_number('{"quantity": 101}', 'quantity', 100);
exception
    when sqlstate 'PT400' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select is(
    current_setting('story.detail')::jsonb,
    '{"argument": "p_payload", "rule": "quantity: 0 to 100"}', 'it says what may be there'
);

select * from finish();
rollback;
