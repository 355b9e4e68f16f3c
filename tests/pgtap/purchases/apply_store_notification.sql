-- What a store says about a purchase afterwards.
begin;
select plan(75);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local timezone = 'UTC';
set local story.now = '2030-01-15 08:00:00+00';
do $$ begin
    perform rendio.ensure_partitions();
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.device_check('cccccccc-0000-4000-8000-000000000001', 'cyd-phone');
    perform public.device_check('dddddddd-0000-4000-8000-000000000001', 'dan-phone');
end $$;

create function pg_temp.notified(
    p_id text, p_type text, p_transaction_id text, p_payload jsonb default '{}',
    p_at timestamptz default null
) returns jsonb language sql volatile as $$
    select public.apply_store_notification('app_store', 'Production', p_id, p_type,
        p_transaction_id, p_payload, p_at);
$$;
create function pg_temp.buys(p_who text, p_transaction_id text, p_product_id text)
returns jsonb language sql volatile as $$
    select public.record_iap_purchase(
        (repeat(p_who, 8) || '-0000-4000-8000-000000000001')::uuid, 'app_store', 'Production',
        p_transaction_id, p_product_id);
$$;
create function pg_temp.spends(p_who text, p_credits integer) returns void language sql volatile
as $$
    select public.add_credits((repeat(p_who, 8) || '-0000-4000-8000-000000000001')::uuid,
        -p_credits, 'admin_adjustment', gen_random_uuid());
$$;
-- A job of 4 credits; returns its id.
create function pg_temp.generates(p_who text) returns uuid language sql volatile as $$
    select (public.generate_video_atomic(
        (repeat(p_who, 8) || '-0000-4000-8000-000000000001')::uuid,
        '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', null, gen_random_uuid()
    ) ->> 'job_id')::uuid;
$$;
create function pg_temp.has(p_who text) returns jsonb language sql volatile as $$
    select public.get_user_credits((repeat(p_who, 8) || '-0000-4000-8000-000000000001')::uuid)
        - array['tier', 'is_guest', 'credits_total'];
$$;
create function pg_temp.rows_written_by(p_call text) returns bigint language plpgsql as $$
declare
    v_before bigint;
    v_after bigint;
begin
    select sum(n_tup_ins + n_tup_upd + n_tup_del) into v_before
    from pg_stat_xact_user_tables where schemaname in ('public', 'rendio');
    execute p_call;
    select sum(n_tup_ins + n_tup_upd + n_tup_del) into v_after
    from pg_stat_xact_user_tables where schemaname in ('public', 'rendio');
    return v_after - v_before;
end $$;

-- Ada's purchase is notified before the app reports it.
set local role service_role;
select is(
    pg_temp.notified('n1', 'ONE_TIME_CHARGE', 't1', '{"productId": "credits_50",
        "appAccountToken": "AAAAAAAA-0000-4000-8000-000000000001", "quantity": 1,
        "purchaseDate": 1894694340000}'),
    '{"action": "credited", "credits_changed": 50, "credits_remaining": 60, "replayed": false}',
    'a charge is credited to whose token it bears'
);
reset role;
select results_eq(
    $$ select user_id, product_id, quantity, credits_added, ledger_seq, purchased_at, created_at
       from public.iap_transactions $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, 'credits_50', 1, 50, 2::bigint,
       timestamptz '2030-01-15 07:59:00+00', timestamptz '2030-01-15 08:00:00+00') $$,
    'as if she had reported it'
);
select is(
    pg_temp.buys('a', 't1', 'credits_50'),
    '{"credits_added": 50, "credits_remaining": 60, "replayed": true}', 'which she then does'
);
select is(
    pg_temp.notified('n2', 'ONE_TIME_CHARGE', 't1', '{"productId": "credits_50"}') - 'replayed',
    '{"action": "already_credited", "credits_changed": 0, "credits_remaining": 60}',
    'a second notification of it brings nothing'
);
select is(
    pg_temp.rows_written_by($$ select pg_temp.notified('n1', 'ONE_TIME_CHARGE', 't1') $$),
    0::bigint, 'a repeated one writes nothing'
);
select is(
    pg_temp.notified('n1', 'ONE_TIME_CHARGE', 't1'),
    '{"action": "credited", "credits_changed": 50, "credits_remaining": 60, "replayed": true}',
    'and answers as the first'
);
select throws_ok(
    $$ select pg_temp.notified('n1', 'REFUND', 't1') $$, 'PT422', 'idempotency_key_reused',
    'an id is for one type'
);
select throws_ok(
    $$ select pg_temp.notified('n1', 'ONE_TIME_CHARGE', 't2') $$, 'PT422',
    'idempotency_key_reused', 'and one transaction'
);
select is(
    pg_temp.notified('n3', 'ONE_TIME_CHARGE', 't3', '{"productId": "credits_20", "quantity": 3,
        "appAccountToken": "bbbbbbbb-0000-4000-8000-000000000001"}') ->> 'credits_changed',
    '60', 'three at once are three'
);
select is(
    pg_temp.notified('n4', 'ONE_TIME_CHARGE', 't4', payload),
    '{"action": "waiting", "credits_changed": 0, "credits_remaining": null, "replayed": false}',
    'a charge without a buyer of ours waits for one'
)
from (values ('{"productId": "credits_20"}'::jsonb)) as t (payload);
select is(
    pg_temp.notified('n5', 'ONE_TIME_CHARGE', 't5', '{"productId": "credits_20",
        "appAccountToken": "99999999-0000-4000-8000-000000000001"}') ->> 'action',
    'waiting', 'so does one whose buyer is unknown'
);
select is(
    pg_temp.buys('b', 't4', 'credits_20') ->> 'credits_added', '20', 'whoever brings it is'
);
select throws_ok(
    $$ select pg_temp.notified('n6', 'ONE_TIME_CHARGE', 't6', '{"productId": "credits_999",
       "appAccountToken": "aaaaaaaa-0000-4000-8000-000000000001"}') $$,
    'PT404', 'product_not_found', 'a product that we do not know is an error: the store will repeat'
);
select is_empty(
    $$ select from public.store_notifications where notification_id = 'n6' $$,
    'and then finds nothing of it'
);

-- Ada gets her money back for half of it, then for all, then the store changes its mind.
select is(
    pg_temp.notified('r1', 'REFUND', 't1', '{"revocationPercentage": 50000}',
        '2030-01-15 09:00:00+00'),
    '{"action": "revoked", "credits_changed": -25, "credits_remaining": 35, "replayed": false}',
    'half a refund takes half of the credits'
);
select is(
    pg_temp.notified('r2', 'REFUND', 't1', '{}', '2030-01-15 10:00:00+00'),
    '{"action": "revoked", "credits_changed": -25, "credits_remaining": 10, "replayed": false}',
    'a whole one the rest'
);
select is(
    pg_temp.notified('r2', 'REFUND', 't1', '{}', '2030-01-15 10:00:00+00') - 'credits_remaining',
    '{"action": "revoked", "credits_changed": -25, "replayed": true}', 'once'
);
select results_eq(
    $$ select seq, change::bigint, reason::text, lot_seq, lot_n from public.quota_log
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq > 2 $$,
    $$ values (3::bigint, -25::bigint, 'iap_refund', 2::bigint, 1::smallint),
       (4, -25, 'iap_refund', 2, 1::smallint) $$,
    'the ledger names the lot'
);
select is(
    pg_temp.notified('r0', 'REFUND_REVERSED', 't1', '{}', '2030-01-15 09:30:00+00') - 'replayed',
    '{"action": "outdated", "credits_changed": 0, "credits_remaining": 10}',
    'what happened between, and comes late, changes nothing'
);
select is(
    pg_temp.notified('r3', 'REFUND_REVERSED', 't1', '{}', '2030-01-15 11:00:00+00'),
    '{"action": "reversed", "credits_changed": 50, "credits_remaining": 60, "replayed": false}',
    'a reversal gives back what was taken'
);
select is(
    (select kind from public.credit_grants
     where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq = 5),
    'paid', 'as bought credits'
);
select is(
    pg_temp.notified('r4', 'REFUND', 't1', '{"revocationPercentage": 100000}',
        '2030-01-15 12:00:00+00') - 'replayed',
    '{"action": "revoked", "credits_changed": -50, "credits_remaining": 10}',
    'and they can be taken once more'
);
select is(
    pg_temp.notified('r5', 'REFUND_DECLINED', 't1') - 'replayed',
    '{"action": "declined", "credits_changed": 0, "credits_remaining": 10}',
    'a refund that the store declined is noted'
);
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

-- The order of arrival does not matter: each permutation of three ends the same.
create function pg_temp.in_order(p_order text) returns bigint language plpgsql as $$
declare
    v_step text;
    v_id text := 'p-' || p_order;
begin
    foreach v_step in array string_to_array(p_order, NULL) loop
        case v_step
            when 'b' then perform pg_temp.buys('c', v_id, 'credits_20');
            when 'r' then perform pg_temp.notified(v_id || 'r', 'REFUND', v_id, '{}',
                '2030-01-15 09:00:00+00');
            when 'h' then perform pg_temp.notified(v_id || 'h', 'REFUND', v_id,
                '{"revocationPercentage": 50000}', '2030-01-15 08:30:00+00');
            when 'v' then perform pg_temp.notified(v_id || 'v', 'REFUND_REVERSED', v_id, '{}',
                '2030-01-15 10:00:00+00');
        end case;
    end loop;
    return (select credits_remaining from public.users
        where id = 'cccccccc-0000-4000-8000-000000000001');
end $$;
select is(
    pg_temp.in_order(o), 10::bigint, format('bought and refunded, as %s, is as before', o)
)
from unnest(array['br', 'rb', 'bhr', 'brh', 'hbr', 'hrb', 'rbh', 'rhb']) as o;
select is(
    pg_temp.in_order(o), 10 + 20 * n, format('refunded and reversed, as %s, is as bought', o)
)
from unnest(array['brv', 'bvr', 'rbv', 'rvb', 'vbr', 'vrb']) with ordinality as t (o, n);
select is_empty($$ select * from public.reconcile_credits() $$, 'and the books agree');

-- Dan has spent what he gets his money back for; by default he owes it.
do $$ begin
    perform pg_temp.buys('d', 'dan-1', 'credits_20');
    perform pg_temp.spends('d', 25);
end $$;
select is(
    pg_temp.notified('d1', 'REFUND', 'dan-1', '{}', '2030-01-15 09:00:00+00') - 'replayed',
    '{"action": "revoked", "credits_changed": -5, "credits_remaining": 0}',
    'what is left is taken, and no balance goes below zero'
);
select is(
    pg_temp.has('d'), '{"credits_remaining": 0, "credits_owed": 15, "is_blocked": false}',
    'the rest is owed'
);
select is(
    public.add_credits('dddddddd-0000-4000-8000-000000000001', 7, 'promo_grant', gen_random_uuid())
    ->> 'credits_remaining', '7', 'what is given pays nothing'
);
select is(
    pg_temp.buys('d', 'dan-2', 'credits_50'),
    '{"credits_added": 50, "credits_remaining": 42, "replayed": false}',
    'what is bought pays first'
);
select is(
    pg_temp.has('d'), '{"credits_remaining": 42, "credits_owed": 0, "is_blocked": false}',
    'then nothing is owed'
);
select is(
    pg_temp.notified('d2', 'REFUND_REVERSED', 'dan-1', '{}', '2030-01-15 10:00:00+00')
    ->> 'credits_changed',
    '20', 'a reversal gives back what was paid too'
);
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree about debts');

-- Blocked.
update public.app_settings set value = '"block"' where key = 'refund_shortfall';
do $$ begin
    perform pg_temp.spends('d', 60);
    perform pg_temp.notified('d3', 'REFUND', 'dan-2', '{}', '2030-01-15 11:00:00+00');
    perform public.add_credits('dddddddd-0000-4000-8000-000000000001', 8, 'promo_grant',
        gen_random_uuid());
end $$;
select is(
    pg_temp.has('d'), '{"credits_remaining": 8, "credits_owed": 48, "is_blocked": true}',
    'or the debtor may spend nothing until it is paid'
);
select throws_ok(
    $$ select pg_temp.generates('d') $$, 'PT403', 'account_blocked', 'not what was given either'
);
select is(
    public.quote_generation('dddddddd-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', null) ->> 'refusal',
    'account_blocked', 'a quote says so'
);
select is(
    pg_temp.buys('d', 'dan-3', 'credits_50') ->> 'credits_remaining', '10', 'it is bought out'
);
select lives_ok($$ select pg_temp.generates('d') $$, 'and spends again');
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree about blocks');

-- Forgiven.
update public.app_settings set value = '"forgive"' where key = 'refund_shortfall';
do $$ begin
    perform pg_temp.spends('d', 6);
    perform pg_temp.notified('d4', 'REFUND', 'dan-3', '{}', '2030-01-15 12:00:00+00');
end $$;
select is(
    pg_temp.has('d'), '{"credits_remaining": 0, "credits_owed": 0, "is_blocked": false}',
    'or all is forgiven'
);
select is(
    pg_temp.buys('d', 'dan-4', 'credits_20') ->> 'credits_remaining', '20', 'and nothing is paid'
);

-- Cyd's credits are in a job when the purchase is taken back. The job fails afterwards.
do $$ begin
    perform pg_temp.spends('c', (pg_temp.has('c') ->> 'credits_remaining')::integer);
    perform pg_temp.buys('c', 'cyd-1', 'credits_20');
    perform set_config('story.job', pg_temp.generates('c')::text, true);
    perform pg_temp.notified('c1', 'REFUND', 'cyd-1', '{}', '2030-01-15 13:00:00+00');
end $$;
select is(
    pg_temp.has('c') ->> 'credits_remaining', '0', 'what the job does not hold is taken at once'
);
select is(
    public.refund_video_job('cccccccc-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid) - 'job_id',
    '{"credits_refunded": 4, "credits_remaining": 0, "replayed": false}',
    'what the job gives back goes out again'
);
select results_eq(
    $$ select change::bigint, reason::text from public.quota_log
       where user_id = 'cccccccc-0000-4000-8000-000000000001' order by seq desc limit 2 $$,
    $$ values (-4::bigint, 'iap_refund'), (4, 'generation_failed_refund') $$,
    'in the same transaction'
);
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree about holds');

-- Sandbox refunds make no debtors, and environments are worlds of their own.
update public.app_settings set value = '"block"' where key = 'refund_shortfall';
do $$ begin
    perform public.record_iap_purchase('cccccccc-0000-4000-8000-000000000001', 'app_store',
        'Sandbox', 'cyd-1', 'credits_20');
    perform pg_temp.spends('c', 15);
end $$;
select is(
    public.apply_store_notification('app_store', 'Sandbox', 'c1', 'REFUND', 'cyd-1') - 'replayed',
    '{"action": "revoked", "credits_changed": -5, "credits_remaining": 0}',
    'a refund in the sandbox takes what is left'
);
select is(
    pg_temp.has('c'), '{"credits_remaining": 0, "credits_owed": 0, "is_blocked": false}',
    'and forgives the rest, whatever the setting'
);

-- Questions, tests, and what the store invents next year.
select is(
    pg_temp.notified('q1', 'CONSUMPTION_REQUEST', 'dan-4', '{}', '2030-01-15 08:00:00+00')
    ->> 'action',
    'consumption_requested', 'a question is noted'
);
select results_eq(
    $$ select due_at, answered_at from public.store_notifications where notification_id = 'q1' $$,
    $$ values (timestamptz '2030-01-15 20:00:00+00', null::timestamptz) $$,
    'to be answered within twelve hours'
);
select is(
    pg_temp.notified('x1', 'TEST', null),
    '{"action": "test", "credits_changed": 0, "credits_remaining": null, "replayed": false}',
    'a test is heard'
);
select is(
    pg_temp.notified('x2', 'GALACTIC_REFUND', 'dan-4', '{"any": ["thing"]}') ->> 'action',
    'ignored', 'an unknown type is kept and does nothing'
);
select is(
    public.apply_store_notification('google_play', 'Production', 'g1', 'VOIDED_PURCHASE', 'gpa-1')
    ->> 'action',
    'waiting', 'Google''s go the same way'
);

-- Limits.
select throws_ok(
    format($$ select public.apply_store_notification(%L, %L, %L, %L, %L, %L, %L) $$, store,
        environment, id, type, transaction_id, payload, at),
    code, slug, what
)
from (values
    ('no store', null, 'Production', 'z', 'REFUND', 't', '{}', null, 'PT400', 'invalid_argument'),
    ('no transaction', 'app_store', 'Production', 'z', 'REFUND', null, '{}', null, 'PT400',
     'invalid_argument'),
    ('a payload that is a list', 'app_store', 'Production', 'z', 'REFUND', 't', '[]', null,
     'PT400', 'invalid_argument'),
    ('more than all of it', 'app_store', 'Production', 'z', 'REFUND', 't',
     '{"revocationPercentage": 100001}', null, 'PT400', 'invalid_argument'),
    ('the end of time', 'app_store', 'Production', 'z', 'REFUND', 't', '{}', 'infinity', 'PT400',
     'invalid_argument'),
    ('a charge for nothing', 'app_store', 'Production', 'z', 'ONE_TIME_CHARGE', 't', '{}', null,
     'PT400', 'invalid_argument')
) as t (what, store, environment, id, type, transaction_id, payload, at, code, slug);
select is_empty(
    $$ select from public.store_notifications where notification_id = 'z' $$,
    'a refused notification leaves nothing'
);

-- Only the service has verified the payload.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select pg_temp.notified('z', 'REFUND_REVERSED', 't1') $$, '42501', null, 'Ada notifies nothing'
);
reset role;
grant execute on function public.apply_store_notification to authenticated;
set local role authenticated;
select throws_ok(
    $$ select pg_temp.notified('z', 'REFUND_REVERSED', 't1') $$, 'PT403', 'service_only',
    'not even with the grant'
);
reset role;

select is_empty($$ select * from public.reconcile_credits() $$, 'in the end the books agree');

select * from finish();
rollback;
