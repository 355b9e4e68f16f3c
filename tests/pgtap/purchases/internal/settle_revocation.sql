-- What the store last said of a purchase is made true: credits are taken, or given back.
begin;
set local timezone = 'UTC';
select plan(67);

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
create function pg_temp.settle(p_transaction_id text, p_at timestamptz) returns bigint
language sql volatile as $$
    select rendio.settle_revocation(t, p_at) from public.iap_transactions as t
    where t.transaction_id = p_transaction_id;
$$;
-- The store says on a day how much of a purchase is taken back from then on.
create function pg_temp.say(p_transaction_id text, p_share integer, p_at timestamptz) returns bigint
language plpgsql as $$
begin
    insert into public.store_notifications (store, environment, notification_id, type,
        transaction_id, payload, occurred_at, received_at, revoked_share, action)
    select t.store, t.environment, t.transaction_id || p_at, 'REFUND', t.transaction_id, '{}', p_at,
        p_at, p_share, 'waiting'
    from public.iap_transactions as t
    where t.transaction_id = p_transaction_id;
    return pg_temp.settle(p_transaction_id, p_at);
end $$;
create temp view owed as
select left(r.user_id::text, 1) as who, t.transaction_id as purchase, r.revoked, r.recovered,
    r.policy, r.created_at, r.repaid, r.waived
from public.purchase_revocations as r
join public.credit_grants as g on g.origin = r.origin
join public.iap_transactions as t on t.user_id = g.user_id and t.ledger_seq = g.seq
order by r.user_id, t.transaction_id;
create temp view balances as
select left(id::text, 1) || right(id::text, 1) as who, credits_remaining::bigint as credits
from public.users order by 1;

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
do $$ begin
    perform rendio.ensure_partitions();
end $$;

-- Ada has 10, buys 20 (t1), and the store gives back a half, more, less, nothing, all.
do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
        'Production', 't1', 'credits_20');
end $$;
select is(pg_temp.settle('t1', '2030-01-16'), 0::bigint, 'the store has said nothing');
select is(
    pg_temp.rows_written_by($$ select pg_temp.settle('t1', '2030-01-16') $$), 0::bigint,
    'and nothing is written'
);
select is(pg_temp.say('t1', 0, '2030-01-16'), 0::bigint, 'nothing of it is nothing');
select is(pg_temp.say('t1', 4999, '2030-01-16 01:00+00'), 0::bigint, 'a part of a credit is hers');
select is_empty('select * from owed', 'of neither anything is kept');
select is(pg_temp.say('t1', 5000, '2030-01-16 02:00+00'), -1::bigint, 'a whole one is not');
select is(pg_temp.say('t1', 50000, '2030-01-17'), -9::bigint, 'then the half');
select results_eq(
    'select * from owed',
    $$ values ('a', 't1', 10::bigint, 10::bigint, 'debt', timestamptz '2030-01-16 02:00+00',
       0::bigint, 0::bigint) $$,
    'one refund, since it began'
);
select is(
    pg_temp.rows_written_by($$ select pg_temp.settle('t1', '2030-01-17') $$), 0::bigint,
    'to settle what is settled writes nothing'
);
select is(pg_temp.say('t1', 99999, '2030-01-18'), -9::bigint, 'nearly all');
select is(pg_temp.say('t1', 25000, '2030-01-19'), 14::bigint, 'but for a quarter');
select is(pg_temp.say('t1', 0, '2030-01-20'), 5::bigint, 'nothing after all');
select results_eq(
    'select who, revoked, recovered from owed', $$ values ('a', 0::bigint, 0::bigint) $$,
    'nothing is owed'
);
select is(pg_temp.say('t1', 100000, '2030-01-21'), -20::bigint, 'all');
select results_eq('select * from balances', $$ values ('a1', 10::bigint) $$, 'she has her ten');
select results_eq(
    $$ select change::bigint, reason::text, lot_seq, created_at from public.quota_log
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq > 5 order by seq $$,
    $$ values
       (14::bigint, 'iap_refund_reversed', null::bigint, timestamptz '2030-01-19'),
       (5, 'iap_refund_reversed', null, '2030-01-20'),
       (-1, 'iap_refund', 2, '2030-01-21'),
       (-14, 'iap_refund', 6, '2030-01-21'),
       (-5, 'iap_refund', 7, '2030-01-21') $$,
    'what came back had been in lots of its own'
);

-- Of the smallest product only all can be taken back.
insert into public.iap_products (store, environment, product_id, credits)
values ('app_store', 'Production', 'credits_1', 1);
do $$ begin
    perform public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
        'Production', 't6', 'credits_1');
end $$;
select is(pg_temp.say('t6', 99999, '2030-01-16'), 0::bigint, 'nearly all of one credit is none');
select is(pg_temp.say('t6', 100000, '2030-01-17'), -1::bigint, 'all of it is one');

-- Ben has spent 25 of his 10 and 20 (t2): 5 are left.
do $$ begin
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store',
        'Production', 't2', 'credits_20');
    perform public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', -25, 'admin_adjustment',
        gen_random_uuid());
end $$;
select is(pg_temp.say('t2', 50000, '2030-01-16'), -5::bigint, 'of ten five are there');
select is(pg_temp.say('t2', 100000, '2030-01-17'), 0::bigint, 'of ten more none');
select results_eq(
    $$ select purchase, revoked, recovered, policy from owed where who = 'b' $$,
    $$ values ('t2', 20::bigint, 5::bigint, 'debt') $$, 'the rest is owed'
);
select is(
    pg_temp.say('t2', 30000, '2030-01-18'), 0::bigint, 'what was not taken is not given back'
);
select is(pg_temp.say('t2', 0, '2030-01-19'), 5::bigint, 'what was taken is');
select is(pg_temp.say('t2', 100000, '2030-01-20'), -5::bigint, 'and is taken again');

-- The policy is the day's.
update public.app_settings set value = '"block"' where key = 'refund_shortfall';
do $$ begin perform pg_temp.settle('t2', '2030-01-21'); end $$;
select results_eq(
    $$ select policy from owed where who = 'b' $$, $$ values ('debt') $$,
    'a new rule is not about old refunds'
);
do $$ begin
    perform pg_temp.say('t2', 0, '2030-01-22');
    perform pg_temp.say('t2', 100000, '2030-01-23');
end $$;
select results_eq(
    $$ select policy, revoked, recovered from owed where who = 'b' $$,
    $$ values ('block', 20::bigint, 5::bigint) $$, 'unless the store takes more'
);
select is(
    (select is_blocked from public.users where id = 'bbbbbbbb-0000-4000-8000-000000000001'), true,
    'then he is blocked'
);
do $$ begin perform pg_temp.say('t2', 0, '2030-01-24'); end $$;
select is(
    (select is_blocked from public.users where id = 'bbbbbbbb-0000-4000-8000-000000000001'), false,
    'and no more when the store changes its mind'
);
delete from public.app_settings where key = 'refund_shortfall';
do $$ begin perform pg_temp.say('t2', 100000, '2030-01-25'); end $$;
select results_eq(
    $$ select policy from owed where who = 'b' $$, $$ values ('forgive') $$,
    'without a rule the user has it'
);
insert into public.app_settings (key, value) values ('refund_shortfall', '"forgive"');
do $$ begin
    perform pg_temp.say('t2', 0, '2030-01-26');
    perform pg_temp.say('t2', 100000, '2030-01-27');
end $$;
select is(
    rendio.credits_owed('bbbbbbbb-0000-4000-8000-000000000001'), 0::bigint, 'and when it says so'
);
update public.app_settings set value = '"debt"' where key = 'refund_shortfall';

-- The sandbox: Cyd gets the eighty that are left to her of 120 (s2).
do $$
declare
    v_cyd uuid := 'cccccccc-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_cyd, 'cyd-phone');
    perform public.record_iap_purchase(v_cyd, 'app_store', 'Sandbox', 's1', 'credits_20');
    perform public.record_iap_purchase(v_cyd, 'app_store', 'Sandbox', 's2', 'credits_120');
    perform public.record_iap_purchase(v_cyd, 'app_store', 'Sandbox', 's3', 'credits_20');
    perform public.add_credits(v_cyd, -60, 'admin_adjustment', gen_random_uuid());
end $$;
select is(
    pg_temp.say('s2', 75000, '2030-01-16'), -50::bigint,
    'a share is one of what it brought; thirty of the sixty were older lots'
);
select results_eq(
    $$ select purchase, revoked, recovered, policy from owed where who = 'c' $$,
    $$ values ('s2', 60::bigint, 50::bigint, 'forgive') $$, 'in the sandbox nobody owes'
);
select is(pg_temp.say('s2', 0, '2030-01-17'), 50::bigint, 'what it gives back');
select results_eq(
    $$ select q.is_sandbox, g.is_sandbox, g.kind from public.quota_log as q
       join public.credit_grants as g using (user_id, seq)
       where q.user_id = 'cccccccc-0000-4000-8000-000000000001'
           and q.reason = 'iap_refund_reversed' $$,
    $$ values (true, true, 'promotional') $$, 'stays the sandbox''s'
);
select is(pg_temp.say('s3', 100000, '2030-01-18'), 0::bigint, 'a purchase that brought nothing');
select is_empty($$ select * from owed where purchase = 's3' $$, 'is taken back without a trace');

-- Nobody has reported t0.
insert into public.iap_transactions (store, environment, transaction_id, created_at)
values ('app_store', 'Production', 't0', '2030-01-15');
select is(pg_temp.say('t0', 100000, '2030-01-16'), 0::bigint, 'without a buyer it waits');

-- Dan buys as a guest (t3), and on another phone (t4); both go into his account.
do $$
declare
    v_dan uuid := 'dddddddd-0000-4000-8000-000000000001';
    v_guest uuid := 'dddddddd-0000-4000-8000-000000000002';
begin
    perform public.device_check(v_dan, 'dan-phone');
    perform public.device_check(v_guest, 'dan-tablet');
    perform public.record_iap_purchase(v_guest, 'app_store', 'Production', 't3', 'credits_20');
    perform public.record_iap_purchase(v_guest, 'app_store', 'Production', 't4', 'credits_50');
    perform pg_temp.say('t4', 20000, '2030-01-15 10:00+00');
    perform public.link_apple_account(v_dan, 'dan-sub');
    perform public.link_apple_account(v_guest, 'dan-sub');
end $$;
create temp view dan as select * from balances where who like 'd%';
create temp table before as select * from dan;
select is(
    pg_temp.say('t3', 100000, '2030-01-16'), -20::bigint, 'a guest''s purchase is taken back'
);
select results_eq(
    $$ select n.who, n.credits - b.credits from dan as n join before as b using (who) order by 1 $$,
    $$ values ('d1', -20::bigint), ('d2', 0) $$, 'from its account'
);
select is(pg_temp.say('t4', 0, '2030-01-17'), 10::bigint, 'a guest''s refund is reversed');
select results_eq(
    $$ select n.who, n.credits - b.credits from dan as n join before as b using (who) order by 1 $$,
    $$ values ('d1', -10::bigint), ('d2', 0) $$, 'in its account'
);
select results_eq(
    $$ select purchase, right(r.user_id::text, 1), r.revoked, r.recovered
       from owed join public.purchase_revocations as r using (revoked, recovered, created_at)
       where owed.who = 'd' order by 1 $$,
    $$ values ('t3', '1', 20::bigint, 20::bigint), ('t4', '1', 0, 0) $$,
    'where its refunds are kept'
);

-- Eve deletes her account; then the store gives her the money back.
do $$ begin
    perform public.device_check('eeeeeeee-0000-4000-8000-000000000001', 'eve-phone');
    perform public.record_iap_purchase('eeeeeeee-0000-4000-8000-000000000001', 'app_store',
        'Production', 't5', 'credits_20');
    perform public.delete_account('eeeeeeee-0000-4000-8000-000000000001');
end $$;
select is(
    pg_temp.say('t5', 100000, '2030-01-16'), 0::bigint, 'of a deleted account nothing is got'
);
select results_eq(
    $$ select revoked, recovered, policy from owed where who = 'e' $$,
    $$ values (20::bigint, 0::bigint, 'forgive') $$, 'and nobody owes it'
);
select is(pg_temp.say('t5', 0, '2030-01-17'), 0::bigint, 'nor does a reversal bring it anything');

-- Fay spends 25 of her 10 and 20 (t7): 5 are left for the refund; the 50 of t8 pay the rest.
do $$ begin
    perform public.device_check('ffffffff-0000-4000-8000-000000000001', 'fay-phone');
    perform public.record_iap_purchase('ffffffff-0000-4000-8000-000000000001', 'app_store',
        'Production', 't7', 'credits_20');
    perform public.add_credits('ffffffff-0000-4000-8000-000000000001', -25, 'admin_adjustment',
        gen_random_uuid());
    perform pg_temp.say('t7', 100000, '2030-01-16');
    perform public.record_iap_purchase('ffffffff-0000-4000-8000-000000000001', 'app_store',
        'Production', 't8', 'credits_50');
end $$;
create temp view fay as
select o.revoked, o.recovered, o.repaid, b.credits from owed as o, balances as b
where o.purchase = 't7' and b.who = 'f1';
select results_eq(
    'select * from fay', $$ values (20::bigint, 5::bigint, 15::bigint, 35::bigint) $$,
    'of its own five, of the other fifteen'
);
select is(pg_temp.say('t7', 0, '2030-01-17'), 20::bigint, 'both come back');
select results_eq(
    'select * from fay', $$ values (0::bigint, 0::bigint, 0::bigint, 55::bigint) $$,
    'so that nothing was taken'
);
select is(
    pg_temp.say('t7', 100000, '2030-01-18'), -20::bigint,
    'refunded again, it gives what came back'
);
select results_eq(
    'select * from fay', $$ values (20::bigint, 20::bigint, 0::bigint, 35::bigint) $$,
    'and nothing is owed'
);
select is(pg_temp.say('t8', 100000, '2030-01-19'), -35::bigint, 'of t8 there are thirty-five');
do $$ begin perform pg_temp.say('t8', 0, '2030-01-20'); end $$;
select results_eq(
    'select * from fay', $$ values (20::bigint, 20::bigint, 0::bigint, 35::bigint) $$,
    'and they come back'
);

-- Gil has spent all, his 10 and 20 (t9), when the store takes a half back, and is forgiven that.
do $$ begin
    perform public.device_check('12121212-0000-4000-8000-000000000001', 'gil-phone');
    perform public.record_iap_purchase('12121212-0000-4000-8000-000000000001', 'app_store',
        'Production', 't9', 'credits_20');
    perform public.add_credits('12121212-0000-4000-8000-000000000001', -30, 'admin_adjustment',
        gen_random_uuid());
    perform pg_temp.say('t9', 50000, '2030-01-16');
    perform rendio.waive_debts('12121212-0000-4000-8000-000000000001');
    perform pg_temp.say('t9', 80000, '2030-01-17');
end $$;
select is(
    rendio.credits_owed('12121212-0000-4000-8000-000000000001'), 6::bigint,
    'of a second refund he owes what it takes more'
);
select results_eq(
    $$ select revoked, recovered, repaid, waived, policy from owed where purchase = 't9' $$,
    $$ values (16::bigint, 0::bigint, 0::bigint, 10::bigint, 'debt') $$,
    'the ten stay forgiven, under whatever policy'
);
do $$ begin
    perform public.record_iap_purchase('12121212-0000-4000-8000-000000000001', 'app_store',
        'Production', 't10', 'credits_20');
end $$;
select results_eq(
    $$ select credits from balances where who = '11' $$, $$ values (14::bigint) $$,
    'six is what his next purchase pays'
);
select is(pg_temp.say('t9', 50000, '2030-01-18'), 0::bigint, 'six fewer are not owed, and not his');
select is(pg_temp.say('t9', 0, '2030-01-19'), 6::bigint, 'what was paid comes back');
do $$ begin perform pg_temp.say('t9', 100000, '2030-01-20'); end $$;
select is(
    rendio.credits_owed('12121212-0000-4000-8000-000000000001'), 14::bigint,
    'and refunded again he owes all but that: the waiver has ended with its debt'
);

-- Hal's 20 of q1 are held by jobs when the store takes them back; the 20 of q2 pay. Then the jobs
-- fail, and the store takes q2 back too: nothing was used, nothing is paid.
create temp table hals (job_id uuid);
do $$
declare
    v_hal uuid := '23232323-0000-4000-8000-000000000002';
begin
    perform public.device_check(v_hal, 'hal-phone');
    perform public.add_credits(v_hal, -10, 'admin_adjustment', gen_random_uuid());
    perform public.record_iap_purchase(v_hal, 'app_store', 'Production', 'q1', 'credits_20');
    insert into hals
    select (public.generate_video_atomic(v_hal, '5f3b1e70-0000-4000-8000-000000000001',
        'A boat.', null, gen_random_uuid()) ->> 'job_id')::uuid
    from generate_series(1, 5);
    perform pg_temp.say('q1', 100000, '2030-01-16');
    perform public.record_iap_purchase(v_hal, 'app_store', 'Production', 'q2', 'credits_20');
end $$;
create temp view hal as
select b.credits, rendio.credits_owed('23232323-0000-4000-8000-000000000002') as owed
from balances as b
where b.who = '22';
select results_eq('select * from hal', $$ values (0::bigint, 0::bigint) $$, 'q2 has paid q1');
do $$ begin
    perform public.cancel_video_job('23232323-0000-4000-8000-000000000002', job_id) from hals;
end $$;
select results_eq('select * from hal', $$ values (20::bigint, 0::bigint) $$, 'the jobs pay back');
select is(pg_temp.say('q2', 100000, '2030-01-17'), -20::bigint, 'which the store gets for q2');
select results_eq('select * from hal', $$ values (0::bigint, 0::bigint) $$, 'and Hal has nothing');

-- Ivy has spent q3 when the store takes it back; q4 pays, the store returns q3 and takes q4 back.
do $$
declare
    v_ivy uuid := '34343434-0000-4000-8000-000000000003';
begin
    perform public.device_check(v_ivy, 'ivy-phone');
    perform public.record_iap_purchase(v_ivy, 'app_store', 'Production', 'q3', 'credits_20');
    perform public.add_credits(v_ivy, -30, 'admin_adjustment', gen_random_uuid());
    perform pg_temp.say('q3', 100000, '2030-01-16');
    perform public.record_iap_purchase(v_ivy, 'app_store', 'Production', 'q4', 'credits_20');
    perform pg_temp.say('q3', 0, '2030-01-17');
end $$;
select is(pg_temp.say('q4', 100000, '2030-01-18'), -20::bigint, 'what q4 had lent is taken for it');
select results_eq(
    $$ select credits, rendio.credits_owed('34343434-0000-4000-8000-000000000003')
       from balances where who = '33' $$,
    $$ values (0::bigint, 0::bigint) $$, 'Ivy has used what she has paid for'
);

-- Jo has spent all of q5. Half of it is forgiven by the policy of the day; the other half is not.
update public.app_settings set value = '"forgive"' where key = 'refund_shortfall';
do $$
declare
    v_jo uuid := '45454545-0000-4000-8000-000000000004';
begin
    perform public.device_check(v_jo, 'jo-phone');
    perform public.record_iap_purchase(v_jo, 'app_store', 'Production', 'q5', 'credits_20');
    perform public.add_credits(v_jo, -30, 'admin_adjustment', gen_random_uuid());
    perform pg_temp.say('q5', 50000, '2030-01-16');
end $$;
select is(
    rendio.credits_owed('45454545-0000-4000-8000-000000000004'), 0::bigint, 'the half is forgiven'
);
update public.app_settings set value = '"debt"' where key = 'refund_shortfall';
do $$ begin perform pg_temp.say('q5', 100000, '2030-01-17'); end $$;
select is(
    rendio.credits_owed('45454545-0000-4000-8000-000000000004'), 10::bigint,
    'and stays so when the rest is owed'
);

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
