-- How many of a purchase's credits are no longer there.
begin;
set local timezone = 'UTC';
select plan(25);

create function pg_temp.consumed(p_transaction_id text) returns bigint language sql as $$
    select rendio.consumed_credits(t) from public.iap_transactions as t
    where t.transaction_id = p_transaction_id;
$$;
create function pg_temp.refund(p_transaction_id text, p_percentage integer) returns void
language plpgsql as $$ begin
    perform public.apply_store_notification('app_store', 'Production', p_transaction_id
        || p_percentage, 'REFUND', p_transaction_id,
        jsonb_build_object('revocationPercentage', p_percentage * 1000));
end $$;
create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2030-01-15 08:00:00+00';

-- Ada has 10 and buys 20 (t1) and 50 (t2).
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_ada, 'ada-phone');
    perform public.record_iap_purchase(v_ada, 'app_store', 'Production', 't1', 'credits_20');
    perform public.record_iap_purchase(v_ada, 'app_store', 'Production', 't2', 'credits_50');
end $$;
select is(pg_temp.consumed('t1'), 0::bigint, 'nothing yet');
do $$ begin
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -9, 'admin_adjustment',
        gen_random_uuid());
end $$;
select is(pg_temp.consumed('t1'), 0::bigint, 'what was given is spent first');
do $$ begin
    perform public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', null,
        '11111111-0000-4000-8000-000000000001');
end $$;
select is(pg_temp.consumed('t1'), 3::bigint, 'what a job holds is consumed');
do $$ begin
    perform public.cancel_video_job(user_id, job_id) from public.video_jobs;
end $$;
select is(pg_temp.consumed('t1'), 0::bigint, 'until it gives it back');
do $$ begin
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -16, 'admin_adjustment',
        gen_random_uuid());
end $$;
select is(pg_temp.consumed('t1'), 15::bigint, 'what was spent is consumed');
select is(pg_temp.consumed('t2'), 0::bigint, 'of each purchase its own');
select is(
    (select lots_seq = ledger_seq from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    false, 'asking folds nothing'
);

-- What the store has taken back was not consumed; nor what it then gave back.
do $$ begin perform pg_temp.refund('t1', 15); end $$;
select is(pg_temp.consumed('t1'), 15::bigint, 'three taken back were not consumed');
do $$ begin perform pg_temp.refund('t1', 20); end $$;
select is(pg_temp.consumed('t1'), 15::bigint, 'nor one more');
do $$ begin
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -1, 'admin_adjustment',
        gen_random_uuid());
end $$;
select is(pg_temp.consumed('t1'), 16::bigint, 'the last one is spent');
do $$ begin
    set local story.now = '2030-01-16 08:00:00+00';
    perform public.apply_store_notification('app_store', 'Production', 'r', 'REFUND_REVERSED',
        't1');
end $$;
select is(pg_temp.consumed('t1'), 16::bigint, 'four that came back are there');
do $$ begin
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -50, 'admin_adjustment',
        gen_random_uuid());
end $$;
select is(
    pg_temp.consumed('t1'), 16::bigint, 'newer than the other purchase, they are spent later'
);
select is(pg_temp.consumed('t2'), 50::bigint, 'that one is gone');
do $$ begin perform pg_temp.refund('t1', 100); end $$;
select is(pg_temp.consumed('t1'), 16::bigint, 'they are taken back, and were not consumed');
select is(pg_temp.consumed('t2'), 50::bigint, 'which is not about the other');

-- Ben bought as a guest (t3) what his account has now, and spends two of it.
do $$
declare
    v_ben uuid := 'bbbbbbbb-0000-4000-8000-000000000001';
    v_guest uuid := 'bbbbbbbb-0000-4000-8000-000000000002';
begin
    perform public.device_check(v_ben, 'ben-phone');
    perform public.device_check(v_guest, 'ben-tablet');
    perform public.record_iap_purchase(v_guest, 'app_store', 'Production', 't3', 'credits_20');
    perform public.link_apple_account(v_ben, 'ben-sub');
    perform public.link_apple_account(v_guest, 'ben-sub');
end $$;
select is(pg_temp.consumed('t3'), 0::bigint, 'what has moved was not consumed');
do $$ begin
    perform public.add_credits(id, 18 - credits_remaining::integer, 'admin_adjustment',
        gen_random_uuid())
    from public.users where id = 'bbbbbbbb-0000-4000-8000-000000000001';
end $$;
select is(pg_temp.consumed('t3'), 2::bigint, 'what the account spends was');
do $$ begin perform pg_temp.refund('t3', 50); end $$;
select is(pg_temp.consumed('t3'), 2::bigint, 'and what is taken back there was not');

-- A purchase that has ended.
do $$
declare
    v_cyd uuid := 'cccccccc-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_cyd, 'cyd-phone');
    perform public.record_iap_purchase(v_cyd, 'app_store', 'Production', 't4', 'credits_20');
    update public.credit_grants set expires_at = '2030-02-01' where user_id = v_cyd and seq = 2;
    update public.users set next_expiry_at = '2030-02-01' where id = v_cyd;
end $$;
set local story.now = '2030-01-31 23:59:59.999999+00';
select is(pg_temp.consumed('t4'), 0::bigint, 'until its last microsecond it is there');
set local story.now = '2030-02-01 00:00:00+00';
select is(pg_temp.consumed('t4'), 20::bigint, 'then it is consumed, settled or not');
do $$ begin perform public.delete_account('bbbbbbbb-0000-4000-8000-000000000001'); end $$;
select is(pg_temp.consumed('t3'), 10::bigint, 'and so are the eight that a deleted account had');

-- Dan spent his 10 and all of d1 when it was refunded; what he bought then, d2, paid for it.
do $$
declare
    v_dan uuid := 'dddddddd-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_dan, 'dan-phone');
    perform public.record_iap_purchase(v_dan, 'app_store', 'Production', 'd1', 'credits_20');
    perform public.add_credits(v_dan, -30, 'admin_adjustment', gen_random_uuid());
    perform pg_temp.refund('d1', 100);
    perform public.record_iap_purchase(v_dan, 'app_store', 'Production', 'd2', 'credits_20');
end $$;
select is(pg_temp.consumed('d1'), 20::bigint, 'what another purchase paid for was consumed');

-- Purchases that brought nothing.
update public.app_settings set value = '"off"' where key = 'sandbox_purchases';
do $$ begin
    perform public.record_iap_purchase('cccccccc-0000-4000-8000-000000000001', 'app_store',
        'Sandbox', 's1', 'credits_20');
    perform rendio.claim_transaction('app_store', 'Production', 't0', rendio.clock());
end $$;
select is(pg_temp.consumed('s1'), 0::bigint, 'where the sandbox gives nothing, nothing is used');
select is(pg_temp.consumed('t0'), 0::bigint, 'nor of what nobody has reported');

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
