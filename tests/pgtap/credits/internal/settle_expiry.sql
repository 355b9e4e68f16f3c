-- What expired leaves the balance, one ledger entry for each lot that had some.
begin;
set local timezone = 'UTC';
select plan(20);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
create function pg_temp.settle(p_at timestamptz) returns bigint language plpgsql as $$
declare
    v_before bigint;
    v_after bigint;
begin
    select count(*) into v_before from public.quota_log;
    perform rendio.settle_expiry('aaaaaaaa-0000-4000-8000-000000000001', p_at);
    select count(*) into v_after from public.quota_log;
    return v_after - v_before;
end $$;
create temp view account as
select credits_remaining::bigint, credits_total::bigint, ledger_seq, lots_seq, ledger_at, next_expiry_at
from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001';

-- Ada has 10 for ever, 5 until 1 March, 6 and (from a sandbox) 20 until 1 February, 7 until 1 May.
set local story.now = '2030-01-15 08:00:00+00';
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_ada, 'ada-phone');
    perform public.add_credits(v_ada, 5, 'promo_grant', gen_random_uuid(), '2030-03-01');
    perform public.add_credits(v_ada, 6, 'promo_grant', gen_random_uuid(), '2030-02-01');
    perform public.record_iap_purchase(v_ada, 'app_store', 'Sandbox', '2000001', 'credits_20');
    update public.credit_grants set expires_at = '2030-02-01' where is_sandbox;
    perform public.add_credits(v_ada, 7, 'promo_grant', gen_random_uuid(), '2030-05-01');
end $$;
select is(
    (select next_expiry_at from account), '2030-02-01 00:00:00+00'::timestamptz,
    'the account knows when the first of them ends'
);

select is(pg_temp.settle('2030-01-31 23:59:59.999999+00'), 0::bigint, 'nothing is due yet');
select results_eq(
    $$ select credits_remaining, ledger_seq, lots_seq, ledger_at from account $$,
    $$ values (48::bigint, 5::bigint, 0::bigint, timestamptz '2030-01-15 08:00:00+00') $$,
    'and nothing is touched'
);

-- Long overdue: three lots have ended.
select is(pg_temp.settle('2030-03-01 00:00:00+00'), 3::bigint, 'three entries');
select results_eq(
    $$ select seq, change::bigint, balance_after::bigint, reason::text, job_id, lot_seq, lot_n,
           is_sandbox, created_at
       from public.quota_log where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq > 5
       order by seq $$,
    $$ values
       (6::bigint, -6::bigint, 42::bigint, 'credit_expired', null::uuid, 3::bigint, 1::smallint,
        false, timestamptz '2030-03-01 00:00:00+00'),
       (7, -20, 22, 'credit_expired', null, 4, 1::smallint, true, '2030-03-01 00:00:00+00'),
       (8, -5, 17, 'credit_expired', null, 2, 1::smallint, false, '2030-03-01 00:00:00+00') $$,
    'by expiry, then number; each names its lot, and the sandbox''s stays the sandbox''s'
);
select results_eq(
    $$ select * from account $$,
    $$ values (17::bigint, 48::bigint, 8::bigint, 8::bigint,
        timestamptz '2030-03-01 00:00:00+00', timestamptz '2030-05-01 00:00:00+00') $$,
    'the balance is what is left, the total what was ever given; the next end is known'
);
select results_eq(
    $$ select seq, amount, remaining from public.credit_grants order by seq $$,
    $$ values (1::bigint, 10::bigint, 10::bigint), (2, 5, 0), (3, 6, 0), (4, 20, 0), (5, 7, 7) $$,
    'the lots that ended are empty'
);
select is(pg_temp.settle('2030-03-01 00:00:00+00'), 0::bigint, 'what is settled is settled once');
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

-- A lot that was spent in time leaves nothing to take, but the time has been passed.
set local story.now = '2030-04-01 08:00:00+00';
do $$ begin
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -9, 'admin_adjustment',
        gen_random_uuid());
end $$;
select is(pg_temp.settle('2030-05-02 00:00:00+00'), 0::bigint, 'an empty lot has no entry');
select results_eq(
    $$ select * from account $$,
    $$ values (8::bigint, 48::bigint, 9::bigint, 9::bigint,
        timestamptz '2030-05-02 00:00:00+00', timestamptz 'infinity') $$,
    'no later entry is dated before its end'
);
select is(
    (rendio.post_entry('aaaaaaaa-0000-4000-8000-000000000001', 1, 'promo_grant', null,
        '2030-04-30 00:00:00+00')).balance_after::bigint,
    9::bigint, 'a clock that runs behind'
);
select is(
    (select created_at from public.quota_log where seq = 10), '2030-05-02 00:00:00+00'::timestamptz,
    'does not write before it'
);

-- The clock runs behind the ledger: what has ended by the ledger's time is over.
do $$ begin
    perform rendio.post_entry('aaaaaaaa-0000-4000-8000-000000000001', 4, 'promo_grant', null,
        '2030-05-02', p_expires_at => '2030-06-01');
    update public.users set ledger_at = '2030-06-02'
    where id = 'aaaaaaaa-0000-4000-8000-000000000001';
end $$;
select is(pg_temp.settle('2030-05-31 00:00:00+00'), 1::bigint, 'it is judged by the later time');
select is(
    (select created_at from public.quota_log where seq = 12), '2030-06-02 00:00:00+00'::timestamptz,
    'and dated so'
);
select is(
    (select credits_remaining from account), 9::bigint, 'nothing else is lost with it'
);

-- A job draws from a lot, fails after its end, and gets a week.
set local story.now = '2030-06-03 00:00:00+00';
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform public.add_credits(v_ada, 4, 'promo_grant', gen_random_uuid(), '2030-06-04');
    perform public.generate_video_atomic(v_ada, '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid());
    perform set_config('story.now', '2030-06-05 00:00:00+00', true);
    perform public.cancel_video_job(user_id, job_id) from public.video_jobs where user_id = v_ada;
    perform rendio.ensure_partitions();
end $$;
select is(pg_temp.settle('2030-06-11 23:59:59.999999+00'), 0::bigint, 'six days and a bit');
select is(pg_temp.settle('2030-06-12 00:00:00+00'), 1::bigint, 'and a week after the refund');
select results_eq(
    $$ select change::bigint, balance_after::bigint, lot_seq, lot_n from public.quota_log
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' order by seq desc limit 1 $$,
    $$ select -4::bigint, 9::bigint, q.seq, 1::smallint from public.quota_log as q
       where q.reason = 'generation_failed_refund' $$,
    'they are over too, from the lot that the refund had opened'
);
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
