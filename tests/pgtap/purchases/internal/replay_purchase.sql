-- The answer to a purchase that was recorded before.
begin;
select plan(6);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
        'Production', '2000001', 'credits_20');
end $$;

select is(
    rendio.replay_purchase((select t from public.iap_transactions as t),
        'aaaaaaaa-0000-4000-8000-000000000001', 'credits_20'),
    '{"credits_added": 20, "credits_remaining": 30, "replayed": true}',
    'what it brought, and what there is today'
);
select throws_ok(
    $$ select rendio.replay_purchase((select t from public.iap_transactions as t),
        'bbbbbbbb-0000-4000-8000-000000000001', 'credits_20') $$,
    'PT409', 'purchase_belongs_to_another_user', 'Ben gets no answer'
);
select throws_ok(
    $$ select rendio.replay_purchase((select t from public.iap_transactions as t),
        'aaaaaaaa-0000-4000-8000-000000000001', 'credits_50') $$,
    'PT422', 'idempotency_key_reused', 'nor another product'
);

-- Ada signs in elsewhere and becomes a part of Cyd's account.
do $$ begin
    perform public.device_check('cccccccc-0000-4000-8000-000000000001', 'cyd-phone');
    update public.users set merged_into = 'cccccccc-0000-4000-8000-000000000001'
    where id = 'aaaaaaaa-0000-4000-8000-000000000001';
end $$;
select is(
    rendio.replay_purchase((select t from public.iap_transactions as t),
        'cccccccc-0000-4000-8000-000000000001', 'credits_20'),
    '{"credits_added": 20, "credits_remaining": 10, "replayed": true}',
    'the account gets the answer, with its own credits'
);
do $$ begin
    perform public.record_iap_purchase('cccccccc-0000-4000-8000-000000000001', 'app_store',
        'Production', 'by-account', 'credits_20');
end $$;
select is(
    rendio.replay_purchase(
        (select t from public.iap_transactions as t where t.transaction_id = 'by-account'),
        'aaaaaaaa-0000-4000-8000-000000000001', 'credits_20'
    ) ->> 'replayed',
    'true', 'so does the guest of what the account has bought'
);
delete from public.iap_transactions where transaction_id = 'by-account';
do $$ begin
    update public.users set deleted_at = now() where id = 'cccccccc-0000-4000-8000-000000000001';
end $$;
select is(
    rendio.replay_purchase((select t from public.iap_transactions as t),
        'cccccccc-0000-4000-8000-000000000001', 'credits_20') ->> 'replayed',
    'true', 'a store that repeats itself about a deleted account is answered too'
);

select * from finish();
rollback;
