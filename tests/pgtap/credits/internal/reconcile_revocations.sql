-- What was taken back of purchases, beside the ledger and what the stores said.
begin;
select plan(8);

create function pg_temp.told(p_who text) returns setof rendio.discrepancy language sql as $$
    select * from rendio.reconcile_revocations(
        (repeat(p_who, 8) || '-0000-4000-8000-000000000001')::uuid,
        (repeat(p_who, 8) || '-0000-4000-8000-000000000001')::uuid);
$$;
create function pg_temp.lives(p_who text, p_transaction_id text) returns void language plpgsql as $$
declare
    v_user_id uuid := repeat(p_who, 8) || '-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_user_id, p_who);
    perform public.record_iap_purchase(v_user_id, 'app_store', 'Production', p_transaction_id,
        'credits_50');
    perform public.add_credits(v_user_id, -40, 'admin_adjustment', gen_random_uuid());
    perform public.apply_store_notification('app_store', 'Production', p_transaction_id, 'REFUND',
        p_transaction_id, '{"revocationPercentage": 60000}');
end $$;

-- Ada spent 40 of her 60 before 30 were taken back: 20 were there. She signed in on another phone.
do $$ begin
    perform pg_temp.lives('a', 't1');
    perform pg_temp.lives('b', 't2');
    perform public.device_check('cccccccc-0000-4000-8000-000000000001', 'c');
    perform public.link_apple_account('cccccccc-0000-4000-8000-000000000001', 'ada-sub');
    perform public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000001', 'ada-sub');
end $$;
select is_empty($$ select * from pg_temp.told('b') $$, 'what the store said was done');
select is_empty($$ select * from pg_temp.told('c') $$, 'also by a guest of hers');
select is_empty($$ select * from pg_temp.told('a') $$, 'who is looked at with the account');

update public.purchase_revocations set recovered = recovered - 1;
select results_eq(
    $$ select * from pg_temp.told('b') $$,
    $$ values ('bbbbbbbb-0000-4000-8000-000000000001'::uuid, 'revocations_differ_from_ledger',
       20::bigint, 19::bigint) $$,
    'a credit that was taken and not counted shows'
);
select results_eq(
    $$ select * from pg_temp.told('c') $$,
    $$ values ('cccccccc-0000-4000-8000-000000000001'::uuid, 'revocations_differ_from_ledger',
       20::bigint, 19::bigint) $$,
    'of the guest too'
);
update public.purchase_revocations set recovered = recovered + 1, revoked = revoked - 1;
select results_eq(
    $$ select problem, expected, actual from pg_temp.told('b') $$,
    $$ values ('revocation_differs_from_notification', 30::bigint, 29::bigint) $$,
    'so does taking back less than was said'
);
delete from public.purchase_revocations;
select set_eq(
    $$ select problem, expected, actual from rendio.reconcile_revocations(
       'bbbbbbbb-0000-4000-8000-000000000001', 'cccccccc-0000-4000-8000-000000000001') $$,
    $$ values ('revocation_differs_from_notification', 30::bigint, 0::bigint),
       ('revocations_differ_from_ledger', 20, 0) $$,
    'a debt that was dropped'
);
select is(
    (select count(*) from rendio.reconcile_revocations('bbbbbbbb-0000-4000-8000-000000000001',
        'cccccccc-0000-4000-8000-000000000001')),
    4::bigint, 'and everybody''s within the ids'
);

select * from finish();
rollback;
