-- What a store confirmed becomes credits, once and for ever.
begin;
select plan(57);

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

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2030-01-15 08:00:00+00';
do $$ begin
    perform rendio.ensure_partitions();
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
end $$;

-- Ada buys 50 credits.
set local role service_role;
select is(
    public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Production',
        '2000001', 'credits_50', '2030-01-15 07:59:00+00',
        'aaaaaaaa-0000-4000-8000-000000000001'),
    '{"credits_added": 50, "credits_remaining": 60, "replayed": false}',
    'the product''s credits are hers'
);
reset role;
select results_eq(
    $$ select seq, change::bigint, balance_after::bigint, reason::text, is_sandbox
       from public.quota_log
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq > 1 $$,
    $$ values (2::bigint, 50::bigint, 60::bigint, 'iap_purchase', false) $$,
    'the ledger says why'
);
select results_eq(
    $$ select seq, amount, kind, priority, is_sandbox from public.credit_grants
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq > 1 $$,
    $$ values (2::bigint, 50::bigint, 'paid', 20::smallint, false) $$,
    'the lot is paid, and spent after what was given'
);
select results_eq(
    $$ select store, environment, transaction_id, user_id, product_id, credits_added, ledger_seq,
           purchased_at, created_at
       from public.iap_transactions $$,
    $$ values ('app_store', 'Production', '2000001', 'aaaaaaaa-0000-4000-8000-000000000001'::uuid,
       'credits_50', 50, 2::bigint, timestamptz '2030-01-15 07:59:00+00',
       timestamptz '2030-01-15 08:00:00+00') $$,
    'the transaction is hers, with its entry'
);
select is(
    (select credits_total::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    60::bigint, 'what was bought counts as granted'
);

-- The store repeats itself: at once, after a spend, after years, after the product is gone.
select is(
    public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Production',
        '2000001', 'credits_50'),
    '{"credits_added": 50, "credits_remaining": 60, "replayed": true}', 'a repeated report'
);
select is(
    pg_temp.rows_written_by($$ select public.record_iap_purchase(
        'aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Production', '2000001',
        'credits_50') $$),
    0::bigint, 'writes nothing'
);
do $$ begin
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -10, 'admin_adjustment',
        gen_random_uuid());
end $$;
update public.iap_products set is_available = false where product_id = 'credits_50';
set local story.now = '2033-06-01 00:00:00+00';
select is(
    public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Production',
        '2000001', 'credits_50'),
    '{"credits_added": 50, "credits_remaining": 50, "replayed": true}',
    'after years it is the same purchase, with today''s balance'
);
delete from public.iap_products where product_id = 'credits_50';
select is(
    public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Production',
        '2000001', 'credits_50') ->> 'replayed',
    'true', 'also when the product no longer exists'
);
set local story.now = '2030-01-15 08:00:00+00';

-- The transaction is Ada's.
select throws_ok(
    $$ select public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store',
       'Production', '2000001', 'credits_50') $$,
    'PT409', 'purchase_belongs_to_another_user', 'Ben does not get it with her receipt'
);
select throws_ok(
    $$ select public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store',
       'Production', '2000002', 'credits_20', now(), 'aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT409', 'purchase_belongs_to_another_user', 'nor one that she bought and never reported'
);
select is_empty(
    $$ select * from public.iap_transactions where transaction_id = '2000002' $$,
    'which is still to be claimed'
);
select throws_ok(
    $$ select public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
       'Production', '2000001', 'credits_120') $$,
    'PT422', 'idempotency_key_reused', 'and it was for one product'
);

-- The same number in another store or environment is another purchase.
select is(
    public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'google_play', 'Production',
        '2000001', 'credits_20') ->> 'replayed',
    'false', 'another store''s transaction'
);

-- The sandbox, where App Review buys: capped by default, and never revenue.
select is(
    public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Sandbox',
        '2000001', 'credits_20'),
    '{"credits_added": 20, "credits_remaining": 70, "replayed": false}',
    'the sandbox''s transaction'
);
select results_eq(
    $$ select q.is_sandbox, g.is_sandbox, g.kind from public.quota_log as q
       join public.credit_grants as g using (user_id, seq)
       where q.user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and q.seq = 4 $$,
    $$ values (true, true, 'promotional') $$, 'is marked in ledger and lot'
);
select is(
    public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Sandbox',
        '2000002', 'credits_120'),
    '{"credits_added": 80, "credits_remaining": 150, "replayed": false}',
    'no more than 100 in all come from there'
);
select is(
    public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Sandbox',
        '2000003', 'credits_20'),
    '{"credits_added": 0, "credits_remaining": 150, "replayed": false}', 'then nothing'
);
select is(
    public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Sandbox',
        '2000003', 'credits_20'),
    '{"credits_added": 0, "credits_remaining": 150, "replayed": true}',
    'and nothing again when it is repeated'
);
select results_eq(
    $$ select transaction_id, credits_added, ledger_seq from public.iap_transactions
       where environment = 'Sandbox' order by 1 $$,
    $$ values ('2000001', 20, 4::bigint), ('2000002', 80, 5), ('2000003', 0, null) $$,
    'each transaction knows what it brought'
);
update public.app_settings set value = '"off"' where key = 'sandbox_purchases';
select is(
    public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store', 'Sandbox',
        '2000004', 'credits_20'),
    '{"credits_added": 0, "credits_remaining": 30, "replayed": false}',
    'switched off it brings nothing'
);
select is(
    public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store', 'Production',
        '2000005', 'credits_20') ->> 'credits_added',
    '20', 'production is not concerned'
);

-- Limits.
select lives_ok(
    $$ select public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store',
       'Production', repeat('ü', 255), 'credits_20') $$,
    'a transaction id may have 255 characters'
);
select throws_ok(
    format($$ select public.record_iap_purchase(%L, %L, %L, %L, %L, %L) $$, user_id, store,
        environment, transaction_id, product_id, purchased_at),
    code, slug, what
)
from (values
    ('no user', null, 'app_store', 'Production', 't', 'credits_20', '2030-01-15', 'PT400',
     'invalid_argument'),
    ('an unknown user', '99999999-0000-4000-8000-000000000001', 'app_store', 'Production', 't',
     'credits_20', '2030-01-15', 'PT404', 'user_not_found'),
    ('no store', 'bbbbbbbb-0000-4000-8000-000000000001', null, 'Production', 't', 'credits_20',
     '2030-01-15', 'PT400', 'invalid_argument'),
    ('an unknown store', 'bbbbbbbb-0000-4000-8000-000000000001', 'App_Store', 'Production', 't',
     'credits_20', '2030-01-15', 'PT400', 'invalid_argument'),
    ('no environment', 'bbbbbbbb-0000-4000-8000-000000000001', 'app_store', null, 't',
     'credits_20', '2030-01-15', 'PT400', 'invalid_argument'),
    ('an unknown environment', 'bbbbbbbb-0000-4000-8000-000000000001', 'app_store', 'production',
     't', 'credits_20', '2030-01-15', 'PT400', 'invalid_argument'),
    ('no transaction', 'bbbbbbbb-0000-4000-8000-000000000001', 'app_store', 'Production', null,
     'credits_20', '2030-01-15', 'PT400', 'invalid_argument'),
    ('an empty transaction', 'bbbbbbbb-0000-4000-8000-000000000001', 'app_store', 'Production', '',
     'credits_20', '2030-01-15', 'PT400', 'invalid_argument'),
    ('a transaction id of 256 characters', 'bbbbbbbb-0000-4000-8000-000000000001', 'app_store',
     'Production', repeat('x', 256), 'credits_20', '2030-01-15', 'PT413', 'payload_too_large'),
    ('no product', 'bbbbbbbb-0000-4000-8000-000000000001', 'app_store', 'Production', 't', null,
     '2030-01-15', 'PT400', 'invalid_argument'),
    ('a product id of 256 characters', 'bbbbbbbb-0000-4000-8000-000000000001', 'app_store',
     'Production', 't', repeat('x', 256), '2030-01-15', 'PT413', 'payload_too_large'),
    ('an unknown product', 'bbbbbbbb-0000-4000-8000-000000000001', 'app_store', 'Production', 't',
     'credits_1000000', '2030-01-15', 'PT404', 'product_not_found'),
    ('no time', 'bbbbbbbb-0000-4000-8000-000000000001', 'app_store', 'Production', 't',
     'credits_20', null, 'PT400', 'invalid_argument'),
    ('the end of time', 'bbbbbbbb-0000-4000-8000-000000000001', 'app_store', 'Production', 't',
     'credits_20', 'infinity', 'PT400', 'invalid_argument'),
    ('its beginning', 'bbbbbbbb-0000-4000-8000-000000000001', 'app_store', 'Production', 't',
     'credits_20', '-infinity', 'PT400', 'invalid_argument')
) as t (what, user_id, store, environment, transaction_id, product_id, purchased_at, code, slug);
update public.iap_products set is_available = false
where store = 'app_store' and environment = 'Production' and product_id = 'credits_20';
select throws_ok(
    $$ select public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store',
       'Production', 't', 'credits_20') $$,
    'PT404', 'product_not_found', 'a product that is off sale brings nothing new'
);
update public.iap_products set is_available = true;
select is_empty(
    $$ select * from public.iap_transactions where transaction_id in ('t', '') $$,
    'a refused purchase leaves its transaction free'
);

-- Dan has deleted his account; the store reports his last purchase late.
do $$ begin
    perform public.device_check('dddddddd-0000-4000-8000-000000000001', 'dan-phone');
    perform public.delete_account('dddddddd-0000-4000-8000-000000000001');
end $$;
select is(
    public.record_iap_purchase('dddddddd-0000-4000-8000-000000000001', 'app_store', 'Production',
        'dan', 'credits_20') ->> 'credits_added',
    '20', 'it is believed'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'dddddddd-0000-4000-8000-000000000001'),
    0::bigint, 'and the credits are nobody''s'
);

-- Ben's guest goes into an account; the store reports what he bought before and after.
do $$ begin
    perform public.device_check('cccccccc-0000-4000-8000-000000000001', 'ben-tablet');
    perform public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store',
        'Production', 'before', 'credits_20');
    perform public.link_apple_account('cccccccc-0000-4000-8000-000000000001', 'ben-sub');
    perform public.link_apple_account('bbbbbbbb-0000-4000-8000-000000000001', 'ben-sub');
    perform set_config('story.credits', credits_remaining::text, true)
    from public.users where id = 'cccccccc-0000-4000-8000-000000000001';
end $$;
create temp view account as
select credits_remaining - current_setting('story.credits')::bigint as more from public.users
where id = 'cccccccc-0000-4000-8000-000000000001';
select is(
    public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store', 'Production',
        't', 'credits_20') ->> 'credits_added',
    '20', 'a purchase reported for the merged guest is credited'
);
select is((select more from account), 20::bigint, 'to its account');
select is(
    (select kind from public.credit_grants
     where user_id = 'cccccccc-0000-4000-8000-000000000001' order by seq desc limit 1),
    'paid', 'as bought'
);
select is(
    public.record_iap_purchase('cccccccc-0000-4000-8000-000000000001', 'app_store', 'Production',
        transaction_id, 'credits_20', p_app_account_token => token)
    - 'credits_remaining',
    '{"credits_added": 20, "replayed": true}', what
)
from (values
    ('t', null::uuid, 'the account may report it again'),
    ('before', null, 'what the guest bought is the account''s to claim'),
    ('before', 'bbbbbbbb-0000-4000-8000-000000000001', 'under the guest''s token'),
    ('before', 'cccccccc-0000-4000-8000-000000000001', 'and its own')
) as t (transaction_id, token, what);
select is((select more from account), 20::bigint, 'none of which brings more');
select throws_ok(
    $$ select public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
       'Production', 'before', 'credits_20') $$,
    'PT409', 'purchase_belongs_to_another_user', 'Ada does not claim it'
);
select throws_ok(
    $$ select public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
       'Production', 'new', 'credits_20',
       p_app_account_token => 'bbbbbbbb-0000-4000-8000-000000000001') $$,
    'PT409', 'purchase_belongs_to_another_user', 'nor what bears his guest''s token'
);
select throws_ok(
    $$ select public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store',
       'Production', 'new', 'credits_20',
       p_app_account_token => 'cccccccc-0000-4000-8000-000000000001') $$,
    'PT409', 'purchase_belongs_to_another_user', 'and a guest claims nothing of its account''s'
);

-- Only the service has verified the receipt.
set local role anon;
select throws_ok(
    $$ select public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
       'Production', 't', 'credits_20') $$,
    '42501', null, 'anon may not call it'
);
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
       'Production', 't', 'credits_20') $$,
    '42501', null, 'nor may Ada'
);
reset role;
grant execute on function public.record_iap_purchase to authenticated;
set local role authenticated;
select throws_ok(
    $$ select public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
       'Production', 't', 'credits_20') $$,
    'PT403', 'service_only', 'not even with the grant'
);
reset role;

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
