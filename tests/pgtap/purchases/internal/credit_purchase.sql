-- A transaction gets its buyer, and the buyer the credits.
begin;
select plan(26);

create function pg_temp.credit(
    p_id text, p_user_id uuid, p_product_id text, p_quantity integer default 1,
    p_environment text default 'Production', p_store text default 'app_store'
) returns public.iap_transactions language sql volatile as $$
    select rendio.credit_purchase(
        rendio.claim_transaction(p_store, p_environment, p_id, '2030-01-15 07:00:00+00'),
        p_user_id, p_product_id, p_quantity, '2030-01-14 00:00:00+00', '2030-01-15 08:00:00+00'
    );
$$;
create function pg_temp.refund(p_id text, p_share integer) returns void language sql as $$
    insert into public.store_notifications (store, environment, notification_id, type,
        transaction_id, payload, occurred_at, received_at, revoked_share, action)
    values ('app_store', 'Production', p_id, 'REFUND', p_id, '{}', '2030-01-15', '2030-01-15',
        p_share, 'waiting');
$$;
create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
do $$ begin
    perform rendio.ensure_partitions();
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    insert into public.iap_products (store, environment, product_id, credits) values
    ('app_store', 'Production', 'credits_10000', 10000),
    ('app_store', 'Production', 'credits_10001', 10001),
    ('app_store', 'Production', 'credits_max', 1000000),
    ('app_store', 'Production', 'credits_1', 1);
    insert into public.iap_products (store, environment, product_id, credits, is_available)
    values ('app_store', 'Production', 'credits_old', 5, false);
    update public.iap_products set credits = 21
    where store = 'google_play' and environment = 'Production' and product_id = 'credits_20';
    update public.iap_products set credits = 22
    where store = 'app_store' and environment = 'Sandbox' and product_id = 'credits_20';
end $$;

-- Ada buys 20.
select results_eq(
    $$ select store, environment, transaction_id, user_id, product_id, quantity, credits_added,
           ledger_seq, purchased_at, created_at
       from pg_temp.credit('t1', 'aaaaaaaa-0000-4000-8000-000000000001', 'credits_20') $$,
    $$ values ('app_store', 'Production', 't1', 'aaaaaaaa-0000-4000-8000-000000000001'::uuid,
        'credits_20', 1, 20, 2::bigint, timestamptz '2030-01-14 00:00:00+00',
        timestamptz '2030-01-15 07:00:00+00') $$,
    'it returns the transaction as it is now'
);
select results_eq(
    $$ select user_id, product_id, quantity, credits_added, ledger_seq, purchased_at
       from public.iap_transactions $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, 'credits_20', 1, 20, 2::bigint,
        timestamptz '2030-01-14 00:00:00+00') $$,
    'and has kept it so'
);
select results_eq(
    $$ select change::bigint, reason::text, is_sandbox, created_at from public.quota_log
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq = 2 $$,
    $$ values (20::bigint, 'iap_purchase', false, timestamptz '2030-01-15 08:00:00+00') $$,
    'the entry is of today'
);

-- What a product is worth depends on where it is sold, and on how many there are.
select is(
    (pg_temp.credit('t2', 'bbbbbbbb-0000-4000-8000-000000000001', product_id, quantity, environment,
        store)).credits_added,
    credits, what
)
from (values
    ('credits_20', 1, 'Production', 'google_play', 21, 'in another store another amount'),
    ('credits_20', 1, 'Sandbox', 'app_store', 22, 'and in the sandbox'),
    ('credits_1', 100, 'Production', 'app_store', 100, 'a hundred of a small one')
) as t (product_id, quantity, environment, store, credits, what);
select is(
    (pg_temp.credit('t3', 'bbbbbbbb-0000-4000-8000-000000000001', 'credits_10000', 100))
        .credits_added,
    1000000, 'a million at once'
);
select results_eq(
    $$ select quantity, credits_added from public.iap_transactions where transaction_id = 't3' $$,
    $$ values (100, 1000000) $$, 'the number is kept'
);

-- What it refuses.
select throws_ok(
    format($$ select pg_temp.credit('t', %L, %L, %L, %L, %L) $$, user_id, product_id, quantity,
        environment, store),
    code, slug, what
)
from (values
    ('more than a million', 'bbbbbbbb-0000-4000-8000-000000000001', 'credits_10001', 100,
     'Production', 'app_store', 'PT400', 'invalid_argument'),
    ('also when it is a hundred times that', 'bbbbbbbb-0000-4000-8000-000000000001', 'credits_max',
     100, 'Production', 'app_store', 'PT400', 'invalid_argument'),
    ('a product that is off sale', 'bbbbbbbb-0000-4000-8000-000000000001', 'credits_old', 1,
     'Production', 'app_store', 'PT404', 'product_not_found'),
    ('one that never was', 'bbbbbbbb-0000-4000-8000-000000000001', 'credits_7', 1,
     'Production', 'app_store', 'PT404', 'product_not_found'),
    ('one of another store', 'bbbbbbbb-0000-4000-8000-000000000001', 'credits_1', 1,
     'Production', 'google_play', 'PT404', 'product_not_found'),
    ('one that the sandbox does not have', 'bbbbbbbb-0000-4000-8000-000000000001', 'credits_1', 1,
     'Sandbox', 'app_store', 'PT404', 'product_not_found'),
    ('a buyer that is nobody', '99999999-0000-4000-8000-000000000001', 'credits_20', 1,
     'Production', 'app_store', 'PT404', 'user_not_found')
) as t (what, user_id, product_id, quantity, environment, store, code, slug);
do $$
declare
    v_detail text;
begin
    perform pg_temp.credit('t', 'bbbbbbbb-0000-4000-8000-000000000001', 'credits_7');
exception
    when sqlstate 'PT404' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select is(
    current_setting('story.detail')::jsonb,
    '{"store": "app_store", "environment": "Production", "product_id": "credits_7"}',
    'it says which product is missing, and where'
);

-- The sandbox gives Ada a hundred in all.
select is(
    (pg_temp.credit(id, 'aaaaaaaa-0000-4000-8000-000000000001', 'credits_50', quantity, 'Sandbox'))
        .credits_added,
    credits, format('%s of the sandbox''s fifty bring %s', quantity, credits)
)
from (values ('s1', 1, 50), ('s2', 3, 50), ('s3', 1, 0)) as t (id, quantity, credits);
select results_eq(
    $$ select t.user_id, t.product_id, t.quantity, t.ledger_seq from public.iap_transactions as t
       where t.transaction_id = 's3' $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, 'credits_50', 1, null::bigint) $$,
    'what brings nothing has a buyer, but no entry'
);

-- The store took two back before anybody reported them, one of them by half.
do $$ begin
    perform pg_temp.refund('t4', 100000);
    perform pg_temp.refund('t5', 50000);
end $$;
select is(
    (pg_temp.credit('t4', 'aaaaaaaa-0000-4000-8000-000000000001', 'credits_20')).credits_added, 20,
    'they are credited'
);
do $$ begin
    perform pg_temp.credit('t5', 'aaaaaaaa-0000-4000-8000-000000000001', 'credits_50');
end $$;
select results_eq(
    $$ select change::bigint, reason::text from public.quota_log
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq > 4 order by seq $$,
    $$ values (20::bigint, 'iap_purchase'), (-20, 'iap_refund'), (50, 'iap_purchase'),
       (-25, 'iap_refund') $$,
    'and taken back at once'
);

-- Ben, who owes 30, buys 50.
do $$ begin
    insert into public.purchase_revocations (user_id, origin, revoked, policy, created_at)
    values ('bbbbbbbb-0000-4000-8000-000000000001', gen_random_uuid(), 30, 'debt', '2030-01-15');
end $$;
select is(
    (pg_temp.credit('t6', 'bbbbbbbb-0000-4000-8000-000000000001', 'credits_50')).credits_added, 50,
    'a debt does not make a purchase smaller'
);
select results_eq(
    $$ select change::bigint, reason::text from public.quota_log
       where user_id = 'bbbbbbbb-0000-4000-8000-000000000001' order by seq desc limit 1 $$,
    $$ values (-30::bigint, 'iap_refund') $$, 'the purchase pays it'
);

-- Cyd has deleted the account.
do $$ begin
    perform public.device_check('cccccccc-0000-4000-8000-000000000001', 'cyd-phone');
    perform public.delete_account('cccccccc-0000-4000-8000-000000000001');
    perform pg_temp.credit('t7', 'cccccccc-0000-4000-8000-000000000001', 'credits_20');
end $$;
select results_eq(
    $$ select t.credits_added, u.credits_remaining::bigint
       from public.iap_transactions as t join public.users as u on u.id = t.user_id
       where t.transaction_id = 't7' $$,
    $$ values (20, 0::bigint) $$, 'what a deleted account bought is nobody''s'
);

select is_empty(
    $$ select * from public.reconcile_credits()
       where problem <> 'revocation_differs_from_notification' $$,
    'the books agree, but for Ben''s debt, of which no store has told'
);

select * from finish();
rollback;
