-- The form of a notification.
begin;
select plan(26);

select lives_ok(
    format($$ select rendio.check_notification('app_store', 'Sandbox', %L, %L, %L, %L, %L) $$,
        notification_id, type, transaction_id, payload, occurred_at),
    what
)
from (values
    ('a refund is a notification', 'n', 'REFUND', 't', '{}', '2030-01-15'),
    ('of no time', 'n', 'REFUND', 't', '{}', null),
    ('with something in it', 'n', 'REFUND', 't', '{"revocationPercentage": 1}', '2030-01-15'),
    ('with long ids', repeat('ü', 255), 'REFUND', repeat('ü', 255), '{}', '2030-01-15'),
    ('a test is about no purchase', 'n', 'TEST', null, '{}', '2030-01-15'),
    ('what we do not know may not be', 'n', 'DID_RENEW', null, '{}', '2030-01-15'),
    ('or may', 'n', 'DID_RENEW', 't', '{}', '2030-01-15')
) as t (what, notification_id, type, transaction_id, payload, occurred_at);
select throws_ok(
    format($$ select rendio.check_notification(%L, %L, %L, %L, %L, %L, %L) $$, store, environment,
        notification_id, type, transaction_id, payload, occurred_at),
    code, slug, what
)
from (values
    ('another store', 'stripe', 'Sandbox', 'n', 'REFUND', 't', '{}', '2030-01-15', 'PT400',
     'invalid_argument'),
    ('another environment', 'app_store', 'Xcode', 'n', 'REFUND', 't', '{}', '2030-01-15', 'PT400',
     'invalid_argument'),
    ('no id', 'app_store', 'Sandbox', null, 'REFUND', 't', '{}', '2030-01-15', 'PT400',
     'invalid_argument'),
    ('an empty id', 'app_store', 'Sandbox', '', 'REFUND', 't', '{}', '2030-01-15', 'PT400',
     'invalid_argument'),
    ('an id of 256 characters', 'app_store', 'Sandbox', repeat('n', 256), 'REFUND', 't', '{}',
     '2030-01-15', 'PT413', 'payload_too_large'),
    ('no type', 'app_store', 'Sandbox', 'n', null, 't', '{}', '2030-01-15', 'PT400',
     'invalid_argument'),
    ('a type of 256 characters', 'app_store', 'Sandbox', 'n', repeat('T', 256), 't', '{}',
     '2030-01-15', 'PT413', 'payload_too_large'),
    ('an empty transaction, though it need not have one', 'app_store', 'Sandbox', 'n', 'TEST', '',
     '{}', '2030-01-15', 'PT400', 'invalid_argument'),
    ('a transaction that is too long', 'app_store', 'Sandbox', 'n', 'REFUND', repeat('t', 256),
     '{}', '2030-01-15', 'PT413', 'payload_too_large'),
    ('no payload', 'app_store', 'Sandbox', 'n', 'REFUND', 't', null, '2030-01-15', 'PT400',
     'invalid_argument'),
    ('a payload that is no object', 'app_store', 'Sandbox', 'n', 'REFUND', 't', '[]', '2030-01-15',
     'PT400', 'invalid_argument'),
    ('a payload of more than 16 KB', 'app_store', 'Sandbox', 'n', 'REFUND', 't',
     format('{"x": "%s"}', repeat('x', 16384)), '2030-01-15', 'PT413', 'payload_too_large'),
    ('the end of time', 'app_store', 'Sandbox', 'n', 'REFUND', 't', '{}', 'infinity', 'PT400',
     'invalid_argument'),
    ('its beginning', 'app_store', 'Sandbox', 'n', 'REFUND', 't', '{}', '-infinity', 'PT400',
     'invalid_argument')
) as t (what, store, environment, notification_id, type, transaction_id, payload, occurred_at, code,
    slug);
select throws_ok(
    format($$ select rendio.check_notification('app_store', 'Sandbox', 'n', %L, null, '{}',
        '2030-01-15') $$, type),
    'PT400', 'invalid_argument', type || ' is about a purchase'
)
from unnest(array[
    'ONE_TIME_CHARGE', 'REFUND', 'REFUND_REVERSED', 'REFUND_DECLINED', 'CONSUMPTION_REQUEST'
]) as type;

select * from finish();
rollback;
