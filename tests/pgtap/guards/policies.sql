-- Settings are the service's to read; keys and their stored responses are nobody's.
begin;
select plan(9);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 5, 'promo_grant',
        '11111111-0000-4000-8000-000000000001');
end $$;

set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select * from public.idempotency_log $$, '42501', null, 'Ada does not read the keys'
);
select throws_ok(
    $$ delete from public.idempotency_log $$, '42501', null, 'nor forget them'
);
select throws_ok($$ select * from public.app_settings $$, '42501', null, 'nor the settings');
select throws_ok(
    $$ update public.app_settings set value = '1000' $$, '42501', null, 'nor set them'
);

set local role anon;
select throws_ok($$ select * from public.idempotency_log $$, '42501', null, 'anon reads no keys');
select throws_ok($$ select * from public.app_settings $$, '42501', null, 'and no settings');

set local role service_role;
select isnt_empty($$ select * from public.app_settings $$, 'the service reads the settings');
select throws_ok(
    $$ update public.app_settings set value = '1000' where key = 'initial_grant' $$,
    '42501', null, 'it does not set them'
);
select throws_ok(
    $$ select * from public.idempotency_log $$, '42501', null, 'stored responses are not its either'
);
reset role;

select * from finish();
rollback;
