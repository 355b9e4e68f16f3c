-- The answer to a purchase that was recorded before.
begin;
select plan(3);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
        'Production', '2000001', 'credits_20');
end $$;

select is(
    rendio.replay_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store', 'Production',
        '2000001', 'credits_20'),
    '{"credits_added": 20, "credits_remaining": 30, "replayed": true}',
    'what it brought, and what there is today'
);
select throws_ok(
    $$ select rendio.replay_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store',
       'Production', '2000001', 'credits_20') $$,
    'PT409', 'purchase_belongs_to_another_user', 'Ben gets no answer'
);
select throws_ok(
    $$ select rendio.replay_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
       'Production', '2000001', 'credits_50') $$,
    'PT422', 'idempotency_key_reused', 'nor another product'
);

select * from finish();
rollback;
