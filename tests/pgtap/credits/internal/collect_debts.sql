-- What a user owes for refunded purchases is taken when credits come, the oldest debt first.
begin;
select plan(24);

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
create function pg_temp.owe(
    p_user_id uuid, p_purchase bigint, p_revoked bigint, p_policy text, p_since timestamptz
) returns void language sql as $$
    insert into public.purchase_revocations (user_id, origin, revoked, policy, created_at)
    select user_id, origin, p_revoked, p_policy, p_since
    from public.credit_grants where user_id = p_user_id and seq = p_purchase;
$$;
create temp view debts as
select left(r.user_id::text, 1) as who, g.seq as purchase, r.revoked, r.recovered, r.repaid
from public.purchase_revocations as r
join public.credit_grants as g using (user_id, origin)
order by r.user_id, g.seq;
create temp view taken as
select left(user_id::text, 1) as who, seq, change::bigint, lot_seq from public.quota_log
where reason = 'iap_refund' order by user_id, seq;
create temp view blocked as select left(id::text, 1) as who from public.users where is_blocked;

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
do $$ begin
    perform rendio.ensure_partitions();
end $$;

-- Ada bought 20 (entry 2) and 50 (3), has all of it, and owes nothing.
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_ada, 'ada-phone');
    perform public.record_iap_purchase(v_ada, 'app_store', 'Production', '1', 'credits_20');
    perform public.record_iap_purchase(v_ada, 'app_store', 'Production', '2', 'credits_50');
    update public.users set is_blocked = true where id = v_ada;
end $$;
select is(
    rendio.collect_debts('aaaaaaaa-0000-4000-8000-000000000001', '2030-01-16', 3), 0::bigint,
    'who owes nothing pays nothing'
);
select is(
    pg_temp.rows_written_by($$ select rendio.collect_debts(
        'aaaaaaaa-0000-4000-8000-000000000001', '2030-01-16', 3) $$),
    0::bigint, 'nothing is written for it'
);
select isnt_empty('select * from blocked', 'and nobody is let go');

-- The stores take 20 of the second back, then 5 of the first.
do $$ begin
    perform pg_temp.owe('aaaaaaaa-0000-4000-8000-000000000001', 2, 5, 'block', '2030-01-12');
    perform pg_temp.owe('aaaaaaaa-0000-4000-8000-000000000001', 3, 20, 'forgive', '2030-01-11');
end $$;
select is(
    rendio.collect_debts('aaaaaaaa-0000-4000-8000-000000000001', '2030-01-16'), 25::bigint,
    'each refunded purchase gives what it has, whatever the policy'
);
select results_eq(
    'select * from taken', $$ values ('a', 4::bigint, -20::bigint, 3::bigint), ('a', 5, -5, 2) $$,
    'what was taken back first is collected first'
);
select results_eq(
    'select * from debts',
    $$ values ('a', 2::bigint, 5::bigint, 5::bigint, 0::bigint), ('a', 3, 20, 20, 0) $$,
    'nothing of it is owed'
);
select is_empty('select * from blocked', 'and she may spend');
select is(
    pg_temp.rows_written_by($$ select rendio.collect_debts(
        'aaaaaaaa-0000-4000-8000-000000000001', '2030-01-16', 3) $$),
    0::bigint, 'a second time there is nothing to do'
);

-- Ben has spent what he bought, 20 (entry 2) and 20 (3), and buys 50 (5). Then the refunds.
do $$
declare
    v_ben uuid := 'bbbbbbbb-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_ben, 'ben-phone');
    perform public.record_iap_purchase(v_ben, 'app_store', 'Production', '3', 'credits_20');
    perform public.record_iap_purchase(v_ben, 'app_store', 'Production', '4', 'credits_20');
    perform public.add_credits(v_ben, -50, 'admin_adjustment', gen_random_uuid());
    perform public.record_iap_purchase(v_ben, 'app_store', 'Production', '5', 'credits_50');
    perform pg_temp.owe(v_ben, 2, 30, 'block', '2030-01-14');
    perform pg_temp.owe(v_ben, 3, 30, 'debt', '2030-01-13');
end $$;
select is(
    rendio.collect_debts('bbbbbbbb-0000-4000-8000-000000000001', '2030-01-16'), 0::bigint,
    'a credit that is not bought pays no debt'
);
select results_eq('select * from blocked', $$ values ('b') $$, 'he owes, and is blocked');
select is(
    rendio.collect_debts('bbbbbbbb-0000-4000-8000-000000000001', '2030-01-16', 5), 50::bigint,
    'a purchase does, as far as it goes'
);
select results_eq(
    $$ select * from taken where who = 'b' $$,
    $$ values ('b', 6::bigint, -30::bigint, 5::bigint), ('b', 7, -20, 5) $$,
    'the older debt first; the other gets what that one left'
);
select results_eq(
    $$ select * from debts where who = 'b' $$,
    $$ values ('b', 2::bigint, 30::bigint, 0::bigint, 20::bigint), ('b', 3, 30, 0, 30) $$,
    'each knows what it got, and that others paid it'
);
select results_eq('select * from blocked', $$ values ('b') $$, 'ten are still owed');

-- He buys 20 more: rendio.post_entry collects.
do $$ begin
    perform public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store',
        'Production', '6', 'credits_20');
end $$;
select results_eq(
    $$ select * from debts where who = 'b' $$,
    $$ values ('b', 2::bigint, 30::bigint, 0::bigint, 30::bigint), ('b', 3, 30, 0, 30) $$,
    'that pays the rest'
);
select is_empty('select * from blocked', 'and he may spend');
select is(
    (select credits_remaining::bigint from public.users
     where id = 'bbbbbbbb-0000-4000-8000-000000000001'),
    10::bigint, 'what is left'
);

-- Cyd's job had taken all of her purchase when the store took it back, and was forgiven. It fails.
do $$
declare
    v_cyd uuid := 'cccccccc-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_cyd, 'cyd-phone');
    perform public.record_iap_purchase(v_cyd, 'app_store', 'Production', '7', 'credits_20');
    perform public.add_credits(v_cyd, -27, 'admin_adjustment', gen_random_uuid());
    perform public.record_iap_purchase(v_cyd, 'app_store', 'Production', '8', 'credits_20');
    perform public.generate_video_atomic(v_cyd, '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid());
    perform pg_temp.owe(v_cyd, 2, 20, 'forgive', '2030-01-14');
    perform public.cancel_video_job(v_cyd, job_id) from public.video_jobs where user_id = v_cyd;
end $$;
select results_eq(
    $$ select * from taken where who = 'c' $$,
    $$ values ('c', 7::bigint, -3::bigint, 2::bigint) $$,
    'of the four that come back three are the refunded purchase''s, and go out again'
);
select results_eq(
    $$ select * from debts where who = 'c' $$,
    $$ values ('c', 2::bigint, 20::bigint, 3::bigint, 0::bigint) $$,
    'and count as recovered'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'cccccccc-0000-4000-8000-000000000001'),
    20::bigint, 'the fourth is hers, and all of the other purchase'
);

-- Dan has spent what he bought, 20 (entry 2) and 20 (3), was refunded and forgiven the first. He
-- buys 20 more.
do $$
declare
    v_dan uuid := 'dddddddd-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_dan, 'dan-phone');
    perform public.record_iap_purchase(v_dan, 'app_store', 'Production', '9', 'credits_20');
    perform public.record_iap_purchase(v_dan, 'app_store', 'Production', '10', 'credits_20');
    perform public.add_credits(v_dan, -50, 'admin_adjustment', gen_random_uuid());
    perform pg_temp.owe(v_dan, 2, 20, 'block', '2030-01-13');
    perform rendio.waive_debts(v_dan);
    perform pg_temp.owe(v_dan, 3, 8, 'block', '2030-01-14');
    perform rendio.collect_debts(v_dan, rendio.clock());
end $$;
select results_eq('select * from blocked', $$ values ('d') $$, 'Dan owes for the second');
do $$ begin
    perform public.record_iap_purchase('dddddddd-0000-4000-8000-000000000001', 'app_store',
        'Production', '11', 'credits_20');
end $$;
select results_eq(
    $$ select * from debts where who = 'd' $$,
    $$ values ('d', 2::bigint, 20::bigint, 0::bigint, 0::bigint), ('d', 3, 8, 0, 8) $$,
    'which is paid, though the forgiven one is older'
);
select is_empty('select * from blocked', 'and he may spend');

-- No store said so, and this story keeps the revocations itself.
select is_empty(
    $$ select * from public.reconcile_credits() where problem not like 'revocation%' $$,
    'the books agree'
);

select * from finish();
rollback;
