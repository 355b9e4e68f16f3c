-- What Ada, a stranger and the service see of accounts, and what they may change.
begin;
select plan(25);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
end $$;

-- Ada signs in.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select results_eq(
    $$ select id, credits_remaining::bigint from public.users $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, 10::bigint) $$,
    'Ada sees her own row and no other'
);
select lives_ok(
    $$ update public.users set language = 'de', theme_preference = 'dark' $$,
    'she sets her preferences, without naming herself'
);
select is(
    (select language || ' ' || theme_preference from public.users), 'de dark', 'they are hers now'
);
select throws_ok(
    $$ update public.users set credits_remaining = 999999 $$, '42501', null,
    'she does not set her balance'
);
select throws_ok(
    $$ update public.users set tier = 'premium' $$, '42501', null, 'nor her tier'
);
select throws_ok(
    $$ update public.users set id = 'bbbbbbbb-0000-4000-8000-000000000009' $$, '42501', null,
    'nor who she is'
);
select throws_ok(
    $$ update public.users set language = 'not a language' $$, '23514', null,
    'a language is a tag'
);
select throws_ok(
    $$ update public.users set theme_preference = 'pink' $$, '23514', null,
    'a theme is light, dark or the system''s'
);
select throws_ok(
    $$ insert into public.users (id) values ('aaaaaaaa-0000-4000-8000-000000000009') $$,
    '42501', null, 'she makes no accounts'
);
select throws_ok($$ delete from public.users $$, '42501', null, 'deletes none');
select throws_ok($$ truncate public.users $$, '42501', null, 'and truncates nothing');
select throws_ok(
    $$ select * from public.account_identities $$, '42501', null,
    'who claims which device is hidden'
);

-- Ben was not touched.
set local request.jwt.claims = '{"sub": "bbbbbbbb-0000-4000-8000-000000000001"}';
select is(
    (select language || ' ' || theme_preference from public.users), 'en system',
    'Ben''s preferences are as he left them'
);

-- Ben signs in as Ada: his guest is a part of her account.
reset role;
update public.users set merged_into = 'aaaaaaaa-0000-4000-8000-000000000001'
where id = 'bbbbbbbb-0000-4000-8000-000000000001';
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select set_eq(
    $$ select id from public.users $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid),
       ('bbbbbbbb-0000-4000-8000-000000000001') $$,
    'the account sees its guest'
);
select lives_ok($$ update public.users set language = 'fr' $$, 'sets its own language');
select set_eq(
    $$ select id, language::text from public.users $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, 'fr'),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'en') $$,
    'and not the guest''s'
);
set local request.jwt.claims = '{"sub": "bbbbbbbb-0000-4000-8000-000000000001"}';
select set_eq(
    $$ select id from public.users $$,
    $$ values ('bbbbbbbb-0000-4000-8000-000000000001'::uuid) $$,
    'the guest does not see the account'
);

-- A token without a user, and no token at all.
set local request.jwt.claims = '{}';
select is((select count(*)::integer from public.users), 0, 'nobody sees nothing');
set local role anon;
select throws_ok($$ select * from public.users $$, '42501', null, 'anon may not even look');
select throws_ok(
    $$ update public.users set language = 'de' $$, '42501', null, 'nor change a preference'
);

-- The service reads everything and writes only through functions.
set local role service_role;
select is(
    (select count(*)::integer from public.users
     where id in ('aaaaaaaa-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001')),
    2, 'the service sees all accounts'
);
select is(
    (select count(*)::integer from public.account_identities
     where identifier in ('ada-phone', 'ben-phone')),
    2, 'and all identities'
);
select throws_ok(
    $$ update public.users set credits_remaining = 999999 $$, '42501', null,
    'it sets no balance'
);
select throws_ok(
    $$ insert into public.users (id, credits_remaining) values (gen_random_uuid(), 5) $$,
    '42501', null, 'and makes no account by hand'
);
select throws_ok(
    $$ delete from public.account_identities $$, '42501', null, 'a claim is for ever'
);
reset role;

select * from finish();
rollback;
