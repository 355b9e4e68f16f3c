-- Support forgives what a user owes for refunded purchases.
begin;
select plan(22);

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
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
update public.app_settings set value = '"block"' where key = 'refund_shortfall';

-- Ada and Ben buy 20, spend all but 5, and have the store give their money back; Ben likewise on
-- his tablet, a guest that is merged into his account afterwards.
do $$
declare
    v_user record;
begin
    perform rendio.ensure_partitions();
    for v_user in
        select * from (values
            ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, 'ada-phone'),
            ('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone'),
            ('bbbbbbbb-0000-4000-8000-000000000002', 'ben-tablet')
        ) as u (id, device)
    loop
        perform public.device_check(v_user.id, v_user.device);
        perform public.record_iap_purchase(v_user.id, 'app_store', 'Production', v_user.device,
            'credits_20');
        perform public.add_credits(v_user.id, -25, 'admin_adjustment', gen_random_uuid());
        perform public.apply_store_notification('app_store', 'Production', v_user.device, 'REFUND',
            v_user.device);
    end loop;
    perform public.link_apple_account('bbbbbbbb-0000-4000-8000-000000000001', 'ben-sub');
    perform public.link_apple_account('bbbbbbbb-0000-4000-8000-000000000002', 'ben-sub');
end $$;
select results_eq(
    $$ select left(id::text, 1) || right(id::text, 1), is_blocked, rendio.credits_owed(id)
       from public.users order by id $$,
    $$ values ('a1', true, 15::bigint), ('b1', true, 30), ('b2', false, 0) $$,
    'what they owe, the guest through its account'
);

set local role service_role;
select is(
    public.waive_credit_debt('aaaaaaaa-0000-4000-8000-000000000001'),
    '{"user_id": "aaaaaaaa-0000-4000-8000-000000000001", "credits_waived": 15,
      "replayed": false}',
    'Ada is forgiven'
);
reset role;
select results_eq(
    $$ select is_blocked, rendio.credits_owed(id), credits_remaining::bigint from public.users
       where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$,
    $$ values (false, 0::bigint, 0::bigint) $$, 'she may spend, but was given nothing'
);
select is(
    public.waive_credit_debt('aaaaaaaa-0000-4000-8000-000000000001'),
    '{"user_id": "aaaaaaaa-0000-4000-8000-000000000001", "credits_waived": 0, "replayed": true}',
    'once more, there is nothing to forgive'
);
select is(
    pg_temp.rows_written_by(
        $$ select public.waive_credit_debt('aaaaaaaa-0000-4000-8000-000000000001') $$),
    0::bigint, 'and nothing to write'
);
do $$ begin
    perform public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
        'Production', 'later', 'credits_20');
end $$;
select is(
    (select credits_remaining::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    20::bigint, 'what she buys now is hers'
);
select is(
    rendio.credits_owed('bbbbbbbb-0000-4000-8000-000000000001'), 30::bigint, 'Ben owes as before'
);

-- Ben's tablet asks.
select is(
    public.waive_credit_debt('bbbbbbbb-0000-4000-8000-000000000002'),
    '{"user_id": "bbbbbbbb-0000-4000-8000-000000000001", "credits_waived": 30,
      "replayed": false}',
    'of a merged guest it is the account that is forgiven, all of it'
);
select is(
    (select is_blocked from public.users where id = 'bbbbbbbb-0000-4000-8000-000000000001'),
    false, 'and that may spend'
);
select is(
    public.waive_credit_debt('bbbbbbbb-0000-4000-8000-000000000001') ->> 'replayed', 'true',
    'the account asks the same'
);

-- A job of Cyd's holds four of the credits that the store takes back.
do $$
declare
    v_cyd uuid := 'cccccccc-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_cyd, 'cyd-phone');
    perform public.record_iap_purchase(v_cyd, 'app_store', 'Production', 'cyd', 'credits_20');
    perform public.generate_video_atomic(v_cyd, '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid());
    perform public.add_credits(v_cyd, -6, 'admin_adjustment', gen_random_uuid());
    perform public.generate_video_atomic(v_cyd, '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, '11111111-0000-4000-8000-000000000001');
    perform public.apply_store_notification('app_store', 'Production', 'cyd', 'REFUND', 'cyd');
end $$;
select is(
    public.waive_credit_debt('cccccccc-0000-4000-8000-000000000001') ->> 'credits_waived', '4',
    'Cyd owes what a job holds'
);
do $$ begin
    perform public.cancel_video_job(l.user_id, l.job_id) from public.idempotency_log as l
    where l.idempotency_key = '11111111-0000-4000-8000-000000000001';
end $$;
select is(
    (select credits_remaining::bigint from public.users
     where id = 'cccccccc-0000-4000-8000-000000000001'),
    0::bigint, 'when it fails, the store''s credits are taken all the same'
);

-- Dan spent all when the store took 8 of his 20 back, and was forgiven; then it takes
-- the rest.
do $$
declare
    v_dan uuid := 'dddddddd-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_dan, 'dan-phone');
    perform public.record_iap_purchase(v_dan, 'app_store', 'Production', 'dan', 'credits_20');
    perform public.add_credits(v_dan, -30, 'admin_adjustment', gen_random_uuid());
    perform public.apply_store_notification('app_store', 'Production', 'dan1', 'REFUND', 'dan',
        '{"revocationPercentage": 40000}');
    perform public.waive_credit_debt(v_dan);
    perform public.apply_store_notification('app_store', 'Production', 'dan2', 'REFUND', 'dan');
end $$;
select results_eq(
    $$ select is_blocked, rendio.credits_owed(id) from public.users
       where id = 'dddddddd-0000-4000-8000-000000000001' $$,
    $$ values (true, 12::bigint) $$, 'he owes what the second refund took more'
);
select is(
    public.waive_credit_debt('dddddddd-0000-4000-8000-000000000001') ->> 'credits_waived', '12',
    'which can be forgiven, too'
);
do $$ begin
    perform public.record_iap_purchase('dddddddd-0000-4000-8000-000000000001', 'app_store',
        'Production', 'dan-later', 'credits_20');
end $$;
select results_eq(
    $$ select is_blocked, credits_remaining::bigint from public.users
       where id = 'dddddddd-0000-4000-8000-000000000001' $$,
    $$ values (false, 20::bigint) $$, 'then what he buys is his'
);

-- Nobody to forgive.
select throws_ok(
    $$ select public.waive_credit_debt(null) $$, 'PT400', 'invalid_argument',
    'somebody must be named'
);
select throws_ok(
    $$ select public.waive_credit_debt('99999999-0000-4000-8000-000000000001') $$,
    'PT404', 'user_not_found', 'who is no stranger'
);
do $$ begin perform public.delete_account('cccccccc-0000-4000-8000-000000000001'); end $$;
select throws_ok(
    $$ select public.waive_credit_debt('cccccccc-0000-4000-8000-000000000001') $$,
    'PT404', 'user_not_found', 'nor an account that is deleted'
);

-- Only the service forgives.
set local role anon;
select throws_ok(
    $$ select public.waive_credit_debt('aaaaaaaa-0000-4000-8000-000000000001') $$,
    '42501', null, 'anon may not call it'
);
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.waive_credit_debt('aaaaaaaa-0000-4000-8000-000000000001') $$,
    '42501', null, 'nor may Ada'
);
reset role;
grant execute on function public.waive_credit_debt to authenticated;
set local role authenticated;
select throws_ok(
    $$ select public.waive_credit_debt('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT403', 'service_only', 'not even with the grant'
);
reset role;

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
