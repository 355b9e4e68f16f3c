-- Users who do nothing lose what expires all the same.
begin;
set local timezone = 'UTC';
select plan(17);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2030-01-15 08:00:00+00';
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
    v_ben uuid := 'bbbbbbbb-0000-4000-8000-000000000001';
    v_eve uuid := 'eeeeeeee-0000-4000-8000-000000000001';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_ada, 'ada-phone');
    perform public.device_check(v_ben, 'ben-phone');
    perform public.device_check(v_eve, 'eve-phone');
    perform public.device_check('cccccccc-0000-4000-8000-000000000001', 'cyd-phone');
    perform public.add_credits(v_ada, 5, 'promo_grant', gen_random_uuid(), '2030-02-03');
    perform public.add_credits(v_ada, 1, 'promo_grant', gen_random_uuid(), '2030-02-04');
    perform public.add_credits(v_ben, 6, 'promo_grant', gen_random_uuid(), '2030-02-02');
    perform public.add_credits(v_eve, 7, 'promo_grant', gen_random_uuid(), '2030-02-01');
end $$;
create temp view balances as
select left(id::text, 1) as who, credits_remaining::bigint as credits from public.users
order by 1;

set local story.now = '2030-01-31 23:59:59.999999+00';
select is(rendio.settle_expired_credits(), 0, 'nothing is due');
set local story.now = '2030-02-03 00:00:00+00';
select is(rendio.settle_expired_credits(2), 2, 'of three users who are due, two at a time');
select results_eq(
    'select * from balances',
    $$ values ('a', 16::bigint), ('b', 10), ('c', 10), ('e', 10) $$,
    'those first who waited longest'
);
select is(rendio.settle_expired_credits(), 1, 'the next run has one left');
select results_eq(
    'select * from balances',
    $$ values ('a', 11::bigint), ('b', 10), ('c', 10), ('e', 10) $$,
    'Ada keeps what ends tomorrow'
);
select is(rendio.settle_expired_credits(), 0, 'nothing is settled twice');
set local story.now = '2030-02-04 00:00:00+00';
select is(rendio.settle_expired_credits(), 1, 'tomorrow it is due');
select is(
    (select count(*)::integer from public.users where next_expiry_at < 'infinity'), 0,
    'and then nobody has anything that ends'
);
-- Ben signs in to Ada's account: his credits end there, whatever his own row still says.
do $$
begin
    perform public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000001', 'ada-sub');
    perform public.add_credits(
        'bbbbbbbb-0000-4000-8000-000000000001', 6, 'promo_grant', gen_random_uuid(), '2030-02-05'
    );
    perform public.link_apple_account('bbbbbbbb-0000-4000-8000-000000000001', 'ada-sub');
end $$;
set local story.now = '2030-02-05 00:00:00+00';
select is(rendio.settle_expired_credits(), 1, 'a merged guest has nothing to lose');
select results_eq(
    'select * from balances',
    $$ values ('a', 20::bigint), ('b', 0), ('c', 10), ('e', 10) $$,
    'its account has'
);

-- Somebody spoiled Eve's books: her lot has more than her balance.
do $$
begin
    perform public.add_credits(
        'eeeeeeee-0000-4000-8000-000000000001', 7, 'promo_grant', gen_random_uuid(), '2030-02-06'
    );
    perform public.add_credits(
        'cccccccc-0000-4000-8000-000000000001', 5, 'promo_grant', gen_random_uuid(), '2030-02-07'
    );
    update public.users set credits_remaining = 0
    where id = 'eeeeeeee-0000-4000-8000-000000000001';
end $$;
set local story.now = '2030-02-08 00:00:00+00';
set local client_min_messages = error;
select is(rendio.settle_expired_credits(), 1, 'wrong books stop nobody else''s expiry');
reset client_min_messages;
select results_eq(
    'select * from balances',
    $$ values ('a', 20::bigint), ('b', 0), ('c', 10), ('e', 0) $$,
    'though who has them waits'
);
select throws_ok(
    $$ select public.generate_video_atomic('eeeeeeee-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', '{}', gen_random_uuid()) $$,
    'PT402', 'insufficient_credits', 'and is refused'
);
update public.users set credits_remaining = 17 where id = 'eeeeeeee-0000-4000-8000-000000000001';
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');
select is(
    pg_get_function_arguments('rendio.settle_expired_credits'::regproc),
    'p_limit integer DEFAULT 1000', 'a run is a batch'
);

-- Cron's alone.
set local role service_role;
select throws_ok(
    $$ select rendio.settle_expired_credits() $$, '42501', null, 'not even the service may call it'
);
set local role authenticated;
select throws_ok(
    $$ select rendio.settle_expired_credits() $$, '42501', null, 'nor may a user'
);
reset role;

select * from finish();
rollback;
