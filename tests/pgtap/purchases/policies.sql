-- The service keeps the products; purchases are for ever; clients see neither.
begin;
select plan(16);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
        'Production', '2000001', 'credits_20');
end $$;

set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select * from public.iap_transactions $$, '42501', null, 'Ada does not read purchases'
);
select throws_ok(
    $$ insert into public.iap_transactions (store, environment, transaction_id, user_id,
           product_id, credits_added, purchased_at, created_at)
       values ('app_store', 'Production', 't', 'aaaaaaaa-0000-4000-8000-000000000001',
           'credits_20', 20, now(), now()) $$,
    '42501', null, 'nor writes them'
);
select throws_ok($$ select * from public.iap_products $$, '42501', null, 'nor sees products');
select throws_ok(
    $$ update public.iap_products set credits = 1000000 $$, '42501', null,
    'nor sets what they bring'
);
set local role anon;
select throws_ok($$ select * from public.iap_products $$, '42501', null, 'nor does anon');
select throws_ok($$ select * from public.iap_transactions $$, '42501', null, 'anything of it');

set local role service_role;
select results_eq(
    $$ select distinct product_id, credits from public.iap_products order by credits $$,
    $$ values ('credits_20', 20), ('credits_50', 50), ('credits_120', 120) $$,
    'the service sees the products'
);
select lives_ok(
    $$ insert into public.iap_products (store, environment, product_id, credits)
       values ('app_store', 'Production', 'credits_500', 500) $$, 'adds some'
);
select lives_ok(
    $$ update public.iap_products set is_available = false where product_id = 'credits_500' $$,
    'and takes them off sale'
);
select throws_ok($$ delete from public.iap_products $$, '42501', null, 'it deletes none');
select isnt_empty($$ select * from public.iap_transactions $$, 'it reads the purchases');
select throws_ok(
    $$ update public.iap_transactions set user_id = 'bbbbbbbb-0000-4000-8000-000000000001' $$,
    '42501', null, 'gives none to somebody else'
);
select throws_ok($$ delete from public.iap_transactions $$, '42501', null, 'and forgets none');
reset role;

-- What the table itself holds.
select throws_ok(
    $$ update public.iap_products set credits = -5 $$, '23514', null,
    'a product brings something'
);
select throws_ok(
    $$ update public.iap_products set credits = 1000001 $$, '23514', null, 'and not too much'
);
select throws_ok(
    $$ insert into public.iap_products (store, environment, product_id, credits)
       values ('stripe', 'Production', 'p', 5) $$, '23514', null, 'there are two stores'
);

select * from finish();
rollback;
