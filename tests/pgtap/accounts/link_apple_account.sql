-- Ada signs in with Apple: first her phone becomes an account, then her tablet goes into it.
begin;
select plan(37);

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
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000002', 'ada-tablet');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000002', 7, 'promo_grant',
        gen_random_uuid(), '2030-03-01');
    perform public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000002',
        '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', null, gen_random_uuid());
end $$;

-- The phone: nobody has used this Apple id before.
set local story.now = '2030-01-16 08:00:00+00';
set local role service_role;
select is(
    public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000001', 'ada-sub', 'ada@example.com'),
    '{"user_id": "aaaaaaaa-0000-4000-8000-000000000001", "merged_from": null,
      "credits_remaining": 10, "replayed": false}',
    'a new Apple id makes the guest an account'
);
reset role;
select results_eq(
    $$ select is_guest, merged_into, credits_remaining::bigint, ledger_seq from public.users
       where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$,
    $$ values (false, null::uuid, 10::bigint, 1::bigint) $$, 'with what it had, and no more'
);
select results_eq(
    $$ select user_id, email, initial_grant_claimed, created_at from public.account_identities
       where kind = 'apple' and identifier = 'ada-sub' $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, 'ada@example.com', true,
       timestamptz '2030-01-16 08:00:00+00') $$,
    'the Apple id is hers'
);
select is(
    public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000001', 'ada-sub', 'new@example.com'),
    '{"user_id": "aaaaaaaa-0000-4000-8000-000000000001", "merged_from": null,
      "credits_remaining": 10, "replayed": true}',
    'signing in again changes nothing'
);
select is(
    pg_temp.rows_written_by($$ select public.link_apple_account(
        'aaaaaaaa-0000-4000-8000-000000000001', 'ada-sub', 'new@example.com') $$),
    0::bigint, 'and writes nothing'
);

-- The tablet: the Apple id has an account.
set local story.now = '2030-01-17 08:00:00+00';
select is(
    public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000002', 'ada-sub'),
    '{"user_id": "aaaaaaaa-0000-4000-8000-000000000001",
      "merged_from": "aaaaaaaa-0000-4000-8000-000000000002", "credits_remaining": 23,
      "replayed": false}',
    'the guest''s 13 credits come to the account''s 10'
);
select results_eq(
    $$ select merged_into, credits_remaining::bigint from public.users
       where id = 'aaaaaaaa-0000-4000-8000-000000000002' $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, 0::bigint) $$, 'the guest is closed'
);
select is(
    public.get_video_jobs('aaaaaaaa-0000-4000-8000-000000000001') #>> '{jobs,0,prompt}', 'A boat.',
    'its job is on the account''s list'
);
select results_eq(
    $$ select (lot ->> 'remaining')::integer, lot ->> 'expires_at' is null
       from jsonb_array_elements(
           public.get_credit_lots('aaaaaaaa-0000-4000-8000-000000000001') -> 'lots') as lot
       order by 1 $$,
    $$ values (3, false), (10, true), (10, true) $$, 'what ended in March ends in March'
);
select is(
    public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000002', 'ada-sub'),
    '{"user_id": "aaaaaaaa-0000-4000-8000-000000000001",
      "merged_from": "aaaaaaaa-0000-4000-8000-000000000002", "credits_remaining": 23,
      "replayed": true}',
    'a second time it has nothing to do'
);
select is(
    pg_temp.rows_written_by($$ select public.link_apple_account(
        'aaaaaaaa-0000-4000-8000-000000000002', 'ada-sub') $$),
    0::bigint, 'and writes nothing'
);
select is(
    (select count(*)::integer from public.account_identities where kind = 'apple'), 1,
    'there is one Apple id'
);

-- What the tablet's guest cannot do any more, and what still reaches it.
select throws_ok(
    $$ select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000002',
       '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', null, gen_random_uuid()) $$,
    'PT409', 'account_merged', 'a closed guest spends nothing'
);
do $$ begin
    perform public.refund_video_job(user_id, job_id) from public.video_jobs
    where prompt = 'A boat.';
end $$;
select is(
    (public.get_user_credits('aaaaaaaa-0000-4000-8000-000000000001')) ->> 'credits_remaining',
    '27', 'its refund comes to the account'
);
select is(
    public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000002', 'ada-sub')
    ->> 'credits_remaining',
    '27', 'which the answer to a repeated call shows'
);
set local story.now = '2030-03-01 08:00:00+00';
select is(
    public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000002', 'ada-sub')
    ->> 'credits_remaining',
    '20', 'and in March what has ended is not shown, settled or not'
);

-- Ben and his Apple id.
do $$ begin
    perform public.link_apple_account('bbbbbbbb-0000-4000-8000-000000000001', 'ben-sub');
end $$;
select throws_ok(
    $$ select public.link_apple_account('bbbbbbbb-0000-4000-8000-000000000001', 'ada-sub') $$,
    'PT409', 'invalid_transition', 'an account does not go into another'
);
select throws_ok(
    $$ select public.link_apple_account('bbbbbbbb-0000-4000-8000-000000000001', 'ben-other-sub') $$,
    'PT409', 'invalid_transition', 'and has one Apple id'
);
select throws_ok(
    $$ select public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000002', 'ben-sub') $$,
    'PT409', 'account_merged', 'a closed guest does not go elsewhere'
);
select throws_ok(
    $$ select public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000002', 'ada-new-sub') $$,
    'PT409', 'account_merged', 'and becomes no account'
);
select set_eq(
    $$ select identifier from public.account_identities where kind = 'apple' $$,
    $$ values ('ada-sub'), ('ben-sub') $$, 'a refused Apple id stays free'
);
select is(
    (public.get_user_credits('bbbbbbbb-0000-4000-8000-000000000001')) ->> 'credits_remaining',
    '10', 'and nothing was moved'
);

-- A guest that has nothing, and one that nobody knows.
do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000003', 'ada-tablet');
end $$;
select is(
    pg_temp.rows_written_by($$ select public.link_apple_account(
        'aaaaaaaa-0000-4000-8000-000000000003', 'ada-sub') $$),
    1::bigint, 'a guest without credits is closed, which is all'
);
select throws_ok(
    $$ select public.link_apple_account('99999999-0000-4000-8000-000000000001', 'new-sub') $$,
    'PT404', 'user_not_found', 'an unknown user has no Apple id'
);
do $$ begin
    perform public.device_check('cccccccc-0000-4000-8000-000000000001', 'cyd-phone');
    perform public.delete_account('cccccccc-0000-4000-8000-000000000001');
end $$;
select throws_ok(
    $$ select public.link_apple_account('cccccccc-0000-4000-8000-000000000001', 'new-sub') $$,
    'PT404', 'user_not_found', 'and neither has a deleted one'
);
select is_empty(
    $$ select * from public.account_identities where identifier = 'new-sub' $$,
    'the Apple id is free'
);

-- Limits.
select throws_ok(
    format($$ select public.link_apple_account(%L, %L, %L) $$, user_id, sub, email), code, slug,
    what
)
from (values
    ('no user', null, 'new-sub', null, 'PT400', 'invalid_argument'),
    ('no Apple id', 'bbbbbbbb-0000-4000-8000-000000000001', null, null, 'PT400',
     'invalid_argument'),
    ('an empty Apple id', 'bbbbbbbb-0000-4000-8000-000000000001', '', null, 'PT400',
     'invalid_argument'),
    ('an Apple id of 256 characters', 'bbbbbbbb-0000-4000-8000-000000000001', repeat('x', 256),
     null, 'PT413', 'payload_too_large'),
    ('an empty address', 'bbbbbbbb-0000-4000-8000-000000000001', 'new-sub', '', 'PT400',
     'invalid_argument'),
    ('an address of 321 characters', 'bbbbbbbb-0000-4000-8000-000000000001', 'new-sub',
     repeat('x', 321), 'PT400', 'invalid_argument')
) as t (what, user_id, sub, email, code, slug);
do $$ begin
    perform public.device_check('dddddddd-0000-4000-8000-000000000001', 'dan-phone');
end $$;
select is(
    public.link_apple_account('dddddddd-0000-4000-8000-000000000001', repeat('ü', 255),
        repeat('ü', 320)) ->> 'replayed',
    'false', '255 and 320 characters are fine'
);

-- Only the service has verified Apple's token.
set local role anon;
select throws_ok(
    $$ select public.link_apple_account('dddddddd-0000-4000-8000-000000000001', 's') $$,
    '42501', null, 'anon may not call it'
);
set local role authenticated;
set local request.jwt.claims = '{"sub": "dddddddd-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.link_apple_account('dddddddd-0000-4000-8000-000000000001', 's') $$,
    '42501', null, 'nor may a user'
);
reset role;
grant execute on function public.link_apple_account to authenticated;
set local role authenticated;
select throws_ok(
    $$ select public.link_apple_account('dddddddd-0000-4000-8000-000000000001', 's') $$,
    'PT403', 'service_only', 'not even with the grant'
);
reset role;

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
