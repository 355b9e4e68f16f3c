-- A guest's credits go to the account as what they were: bought or given, and until when.
begin;
select plan(12);
set local timezone = 'UTC';

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2030-01-15 08:00:00+00';
-- The guest has 10 for ever, 5 until March of which a job takes 4, 3 that end tomorrow, 20 bought
-- and 50 bought in the sandbox. The account has 10 and something that ends in April.
do $$
declare
    v_guest uuid := 'aaaaaaaa-0000-4000-8000-000000000002';
    v_account uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_account, 'ada-phone');
    perform public.add_credits(v_account, 1, 'promo_grant', gen_random_uuid(), '2030-04-01');
    perform public.device_check(v_guest, 'ada-tablet');
    perform public.add_credits(v_guest, 5, 'promo_grant', gen_random_uuid(), '2030-03-01');
    perform public.record_iap_purchase(v_guest, 'app_store', 'Production', '1', 'credits_20');
    perform public.record_iap_purchase(v_guest, 'app_store', 'Sandbox', '1', 'credits_50');
    perform public.generate_video_atomic(v_guest, '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid());
    perform public.add_credits(v_guest, 3, 'promo_grant', gen_random_uuid(), '2030-01-16');
end $$;
create temp view guest as
select * from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000002';
create temp view account as
select * from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001';
create temp table before as
select g.credits_remaining::bigint as guests, a.credits_remaining::bigint as accounts
from guest as g, account as a;

do $$ begin
    perform rendio.move_credits('aaaaaaaa-0000-4000-8000-000000000002',
        'aaaaaaaa-0000-4000-8000-000000000001', '2030-01-17 08:00:00+00');
end $$;
select results_eq(
    $$ select q.user_id, q.change::bigint, q.balance_after::bigint, q.reason::text, q.job_id
       from public.quota_log as q
       where q.created_at = '2030-01-17 08:00:00+00'
       order by q.user_id desc, q.seq $$,
    $$ select 'aaaaaaaa-0000-4000-8000-000000000002'::uuid, -3::bigint, guests - 3,
           'credit_expired', null::uuid from before
       union all
       select 'aaaaaaaa-0000-4000-8000-000000000002', 3 - guests, 0, 'guest_merge_out', null
       from before
       union all
       select 'aaaaaaaa-0000-4000-8000-000000000001', guests - 3, accounts + guests - 3,
           'guest_merge_in', null
       from before $$,
    'what has ended is lost first; the rest leaves and arrives, in a pair'
);
select results_eq(
    $$ select g.n, g.kind, g.priority, g.is_sandbox, g.amount, g.remaining, g.expires_at,
           g.created_at
       from public.credit_grants as g join account as a on a.id = g.user_id and a.ledger_seq = g.seq
       order by g.n $$,
    $$ values
       (1::smallint, 'promotional', 10::smallint, false, 10::bigint, 10::bigint,
        timestamptz 'infinity', timestamptz '2030-01-17 08:00:00+00'),
       (2::smallint, 'promotional', 10::smallint, false, 1, 1, '2030-03-01',
        '2030-01-17 08:00:00+00'),
       (3::smallint, 'paid', 20::smallint, false, 20, 20, 'infinity', '2030-01-17 08:00:00+00'),
       (4::smallint, 'promotional', 10::smallint, true, 50, 50, 'infinity',
        '2030-01-17 08:00:00+00') $$,
    'a lot for each that had something left, of its kind and with its end'
);
select set_eq(
    $$ select g.origin from public.credit_grants as g
       join account as a on a.id = g.user_id and a.ledger_seq = g.seq $$,
    $$ select q.id from public.quota_log as q
       where q.user_id = 'aaaaaaaa-0000-4000-8000-000000000002'
           and q.reason in ('initial_grant', 'promo_grant', 'iap_purchase')
           and q.seq <> 6 $$,
    'each known by the entry that first brought it'
);
select is(
    (select next_expiry_at from account), timestamptz '2030-03-01',
    'the account knows what ends next'
);
select results_eq(
    $$ select g.credits_total::bigint, a.credits_total::bigint from guest as g, account as a $$,
    $$ values (88::bigint, 11 + 81::bigint) $$, 'and counts what came as granted'
);
do $$ begin perform rendio.fold_lots('aaaaaaaa-0000-4000-8000-000000000002'); end $$;
select is(
    (select sum(remaining) from public.credit_grants
     where user_id = 'aaaaaaaa-0000-4000-8000-000000000002'),
    0::numeric, 'the guest''s lots are empty'
);
select is_empty(
    $$ select * from public.reconcile_credits() where problem <> 'merges_differ' $$,
    'the books agree, but for the merge, which rendio.merge_guest notes'
);

-- Nothing to move.
do $$ begin
    perform rendio.move_credits('aaaaaaaa-0000-4000-8000-000000000002',
        'aaaaaaaa-0000-4000-8000-000000000001', '2030-01-18 08:00:00+00');
end $$;
select is_empty(
    $$ select * from public.quota_log where created_at = '2030-01-18 08:00:00+00' $$,
    'an empty guest writes no entry'
);

-- The job that the guest had running fails after the lot it drew from has ended.
update public.users set merged_into = 'aaaaaaaa-0000-4000-8000-000000000001'
where id = 'aaaaaaaa-0000-4000-8000-000000000002';
set local story.now = '2030-03-02 08:00:00+00';
do $$ begin
    perform public.cancel_video_job(user_id, job_id) from public.video_jobs
    where user_id = 'aaaaaaaa-0000-4000-8000-000000000002';
end $$;
select results_eq(
    $$ select q.user_id, q.change::bigint, q.reason::text from public.quota_log as q
       where q.created_at = '2030-03-02 08:00:00+00' order by q.user_id desc, q.seq $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000002'::uuid, 4::bigint, 'generation_failed_refund'),
       ('aaaaaaaa-0000-4000-8000-000000000002', -4, 'guest_merge_out'),
       ('aaaaaaaa-0000-4000-8000-000000000001', -1, 'credit_expired'),
       ('aaaaaaaa-0000-4000-8000-000000000001', 4, 'guest_merge_in') $$,
    'its refund follows, through the guest''s ledger; what ended in the account goes first'
);
select results_eq(
    $$ select g.amount, g.kind, g.expires_at, g.origin = q.id
       from public.credit_grants as g join account as a on a.id = g.user_id and a.ledger_seq = g.seq
       join public.quota_log as q
           on q.user_id = 'aaaaaaaa-0000-4000-8000-000000000002' and q.seq = 2 $$,
    $$ values (4::bigint, 'promotional', timestamptz '2030-03-09 08:00:00+00', true) $$,
    'with the week that a refund has after its lot''s end'
);
select is(
    (select next_expiry_at from account), timestamptz '2030-03-09 08:00:00+00',
    'which the account knows of'
);
select is_empty($$ select * from public.reconcile_credits() $$, 'the books still agree');

select * from finish();
rollback;
