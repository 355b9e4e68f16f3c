-- What a user has.
begin;
select plan(9);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', null,
        '11111111-0000-4000-8000-000000000001');
end $$;
update public.users set is_guest = false, tier = 'premium'
where id = 'bbbbbbbb-0000-4000-8000-000000000001';

-- Ada asks for herself, the service for anyone.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is(
    public.get_user_credits('aaaaaaaa-0000-4000-8000-000000000001'),
    '{"credits_remaining": 6, "credits_total": 10, "tier": "free", "is_guest": true}',
    'what is left, and what was ever granted'
);
select throws_ok(
    $$ select public.get_user_credits('bbbbbbbb-0000-4000-8000-000000000001') $$,
    'PT403', 'not_your_account', 'Ben''s balance is not hers to see'
);
select throws_ok(
    $$ select public.get_user_credits(null) $$, 'PT403', 'not_your_account', 'null is not she'
);
set local request.jwt.claims = '{"sub": "not a user"}';
select throws_ok(
    $$ select public.get_user_credits('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT401', 'not_authenticated', 'without an identity there is no answer'
);
set local request.jwt.claims = '{"sub": "99999999-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.get_user_credits('99999999-0000-4000-8000-000000000001') $$,
    'PT404', 'user_not_found', 'a login without an account is told so'
);
set local role service_role;
select is(
    public.get_user_credits('bbbbbbbb-0000-4000-8000-000000000001'),
    '{"credits_remaining": 10, "credits_total": 10, "tier": "premium", "is_guest": false}',
    'the service sees anyone''s'
);
select throws_ok(
    $$ select public.get_user_credits(null) $$, 'PT400', 'invalid_argument', 'but must say whose'
);
set local role anon;
select throws_ok(
    $$ select public.get_user_credits('aaaaaaaa-0000-4000-8000-000000000001') $$,
    '42501', null, 'anon may not ask'
);
reset role;

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
