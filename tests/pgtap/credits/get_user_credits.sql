-- What a user has.
begin;
select plan(13);

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
    '{"credits_remaining": 6, "credits_total": 10, "tier": "free", "is_guest": true,
     "credits_owed": 0, "is_blocked": false}',
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
    '{"credits_remaining": 10, "credits_total": 10, "tier": "premium", "is_guest": false,
     "credits_owed": 0, "is_blocked": false}',
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

-- Six more that end on 1 February, which nobody settles.
create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local timezone = 'UTC';
set local story.now = '2030-01-15 08:00:00+00';
do $$ begin
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 6, 'promo_grant',
        gen_random_uuid(), '2030-02-01');
    perform rendio.ensure_partitions();
end $$;
set local story.now = '2030-01-31 23:59:59.999999+00';
select is(
    public.get_user_credits('aaaaaaaa-0000-4000-8000-000000000001') ->> 'credits_remaining', '12',
    'until the last microsecond they count'
);
set local story.now = '2030-02-01 00:00:00+00';
select is(
    public.get_user_credits('aaaaaaaa-0000-4000-8000-000000000001'),
    '{"credits_remaining": 6, "credits_total": 16, "tier": "free", "is_guest": true,
     "credits_owed": 0, "is_blocked": false}',
    'then they do not, though they were granted'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    12::bigint, 'asking settles nothing'
);
do $$ begin
    perform rendio.settle_expired_credits();
end $$;
select is(
    public.get_user_credits('aaaaaaaa-0000-4000-8000-000000000001') ->> 'credits_remaining', '6',
    'and when it is settled, the answer stays'
);

select is_empty(
    $$ select * from public.reconcile_credits() where problem <> 'hold_older_than_sweep' $$,
    'the books agree, but for holds that nobody swept'
);

select * from finish();
rollback;
