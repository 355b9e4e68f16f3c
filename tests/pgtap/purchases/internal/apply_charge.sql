-- The store says that somebody bought: the credits go to the user whose token the purchase bears.
begin;
set local timezone = 'UTC';
select plan(36);

create function pg_temp.charge(p_id text, p_payload jsonb) returns public.store_notifications
language plpgsql as $$
declare
    v_notification public.store_notifications;
begin
    v_notification.store := 'app_store';
    v_notification.environment := 'Production';
    v_notification.notification_id := 'n' || p_id;
    v_notification.type := 'ONE_TIME_CHARGE';
    v_notification.transaction_id := p_id;
    v_notification.payload := p_payload;
    v_notification.occurred_at := '2030-01-14 00:00:00+00';
    v_notification.action := 'waiting';
    v_notification.credits_changed := 0;
    return rendio.apply_charge(
        v_notification,
        rendio.claim_transaction('app_store', 'Production', p_id, '2030-01-15 07:00:00+00'),
        '2030-01-15 08:00:00+00'
    );
end $$;
create temp view bought as
select transaction_id, left(user_id::text, 1) as who, product_id, quantity, credits_added,
    purchased_at
from public.iap_transactions;

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
do $$ begin
    perform rendio.ensure_partitions();
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
end $$;

-- Ada's.
select results_eq(
    $$ select action, credits_changed, notification_id from pg_temp.charge('t1',
        '{"productId": "credits_20", "appAccountToken": "aaaaaaaa-0000-4000-8000-000000000001",
          "quantity": 3, "purchaseDate": 1894665600123}') $$,
    $$ values ('credited', 60::bigint, 'nt1') $$, 'three of twenty'
);
select results_eq(
    $$ select * from bought $$,
    $$ values ('t1', 'a', 'credits_20', 3, 60, timestamptz '2030-01-15 00:00:00.123+00') $$,
    'are hers, as the store says'
);
select results_eq(
    $$ select action, credits_changed from pg_temp.charge('t1',
        '{"productId": "credits_50", "appAccountToken": "bbbbbbbb-0000-4000-8000-000000000001"}')
    $$,
    $$ values ('already_credited', 0::bigint) $$, 'and stay hers, whatever else it says'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    70::bigint, 'once'
);
select results_eq(
    $$ select action, credits_changed from pg_temp.charge('t1', '{}') $$,
    $$ values ('already_credited', 0::bigint) $$, 'or does not say'
);

-- The number and the date may be missing.
select results_eq(
    format($$ select action from pg_temp.charge(%L, %L) $$, id,
        '{"productId": "credits_20", "appAccountToken": "bbbbbbbb-0000-4000-8000-000000000001"}'
            ::jsonb || payload::jsonb),
    $$ values ('credited') $$, 'it can do ' || what
)
from (values
    ('t2', '{}', 'without either'),
    ('t3', '{"quantity": null, "purchaseDate": null}', 'with nulls'),
    ('t4', '{"quantity": 0, "purchaseDate": 0}', 'with zeroes'),
    ('t5', '{"quantity": 100, "purchaseDate": 253370764800000}', 'with much')
) as t (id, payload, what);
select results_eq(
    $$ select transaction_id, quantity, credits_added, purchased_at from bought where who = 'b'
       order by 1 $$,
    $$ values
       ('t2', 1, 20, timestamptz '2030-01-14 00:00:00+00'),
       ('t3', 1, 20, '2030-01-14 00:00:00+00'),
       ('t4', 1, 20, '1970-01-01 00:00:00+00'),
       ('t5', 100, 2000, '9999-01-01 00:00:00+00') $$,
    'one, and when the store signed it'
);

-- Whose token is it?
select is(
    (pg_temp.charge('u' || n, jsonb_build_object('productId', 'credits_20', 'appAccountToken',
        token))).action,
    action, what
)
from (values
    (1, 'AAAAAAAA-0000-4000-8000-000000000001', 'credited', 'Apple''s letters may be large'),
    (2, null, 'waiting', 'no token'),
    (3, '', 'waiting', 'an empty one'),
    (4, '99999999-0000-4000-8000-000000000001', 'waiting', 'a stranger''s'),
    (5, 'aaaaaaaa000040008000000000000001', 'waiting', 'one without dashes'),
    (6, '{aaaaaaaa-0000-4000-8000-000000000001}', 'waiting', 'one in another form'),
    (7, 'aaaaaaaa-0000-4000-8000-000000000001 ', 'waiting', 'one with more'),
    (8, 'ada@example.com', 'waiting', 'something else')
) as t (n, token, action, what);
select is(
    (pg_temp.charge('u9', '{"productId": "credits_20"}')).action, 'waiting', 'nothing said of it'
);
select is(
    (pg_temp.charge('u10', '{"productId": "credits_20", "appAccountToken": {"a": 1}}')).action,
    'waiting', 'nothing of use'
);
select is(
    (select count(*) from bought where transaction_id like 'u%' and who is null), 9::bigint,
    'who waits has a row without a buyer'
);
select is(
    public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store', 'Production',
        'u2', 'credits_20') ->> 'credits_added',
    '20', 'until somebody brings the signed transaction'
);
select is(
    (pg_temp.charge('u4', '{"productId": "credits_7",
        "appAccountToken": "99999999-0000-4000-8000-000000000001"}')).action,
    'waiting', 'while there is no user nobody asks for the product'
);

-- What it refuses.
select throws_ok(
    format($$ select pg_temp.charge('v', %L) $$,
        '{"productId": "credits_20", "appAccountToken": "aaaaaaaa-0000-4000-8000-000000000001"}'
            ::jsonb || payload::jsonb),
    code, slug, what
)
from (values
    ('no product', '{"productId": null}', 'PT400', 'invalid_argument'),
    ('an empty one', '{"productId": ""}', 'PT400', 'invalid_argument'),
    ('one of 256 characters', jsonb_build_object('productId', repeat('x', 256))::text, 'PT413',
     'payload_too_large'),
    ('one that is not sold', '{"productId": "credits_7"}', 'PT404', 'product_not_found'),
    ('a number that is none', '{"quantity": "3"}', 'PT400', 'invalid_argument'),
    ('too many', '{"quantity": 101}', 'PT400', 'invalid_argument'),
    ('a date after the year 9999', '{"purchaseDate": 253402300800000}', 'PT400',
     'invalid_argument'),
    ('a date before 1970', '{"purchaseDate": -1}', 'PT400', 'invalid_argument')
) as t (what, payload, code, slug);
select throws_ok(
    $$ select pg_temp.charge('v', '{}') $$, 'PT400', 'invalid_argument',
    'a purchase of nothing, whoever it was'
);

-- A guest that went into Cyd's account, and Dan's account that is no more.
do $$ begin
    perform public.device_check('cccccccc-0000-4000-8000-000000000001', 'cyd-phone');
    perform public.device_check('cccccccc-0000-4000-8000-000000000002', 'cyd-tablet');
    perform public.device_check('dddddddd-0000-4000-8000-000000000001', 'dan-phone');
    perform public.link_apple_account('cccccccc-0000-4000-8000-000000000001', 'cyd-sub');
    perform public.link_apple_account('cccccccc-0000-4000-8000-000000000002', 'cyd-sub');
    perform public.delete_account('dddddddd-0000-4000-8000-000000000001');
    perform set_config('story.credits', credits_remaining::text, true)
    from public.users where id = 'cccccccc-0000-4000-8000-000000000001';
end $$;
select is(
    (pg_temp.charge('w' || left(token, 1), jsonb_build_object('productId', 'credits_20',
        'appAccountToken', token))).credits_changed,
    20::bigint, what || ' buys'
)
from (values
    ('cccccccc-0000-4000-8000-000000000002', 'a merged guest'),
    ('dddddddd-0000-4000-8000-000000000001', 'even a deleted account')
) as t (token, what);
select results_eq(
    $$ select left(id::text, 1) || right(id::text, 1), credits_remaining::bigint
           - case id when 'cccccccc-0000-4000-8000-000000000001'
               then current_setting('story.credits')::bigint else 0 end
       from public.users where left(id::text, 1) in ('c', 'd') order by id $$,
    $$ values ('c1', 20::bigint), ('c2', 0), ('d1', 0) $$,
    'for its account the one, for nobody the other'
);

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
