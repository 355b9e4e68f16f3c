-- The proof that the books agree, and what it says when somebody cooks them.
begin;
select plan(52);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;

-- Everything that moves money happens once: grants, a purchase, a completed job that was partly
-- charged, a failed one, one that still runs.
set local story.now = '2030-01-15 08:00:00+00';
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
    v_veo uuid := '5f3b1e70-0000-4000-8000-000000000001';
    v_job uuid;
begin
    perform public.device_check(v_ada, 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.add_credits(v_ada, 5, 'promo_grant', gen_random_uuid());
    perform public.record_iap_purchase(v_ada, 'app_store', 'Production', '2000001', 'credits_20');
    perform public.record_iap_purchase(v_ada, 'app_store', 'Sandbox', '2000001', 'credits_50');
    v_job := public.generate_video_atomic(v_ada, v_veo, 'A boat.', null, gen_random_uuid())
        ->> 'job_id';
    perform public.start_video_job(v_ada, v_job, 'fal-1');
    perform public.complete_video_job('fal', 'fal-1', 'https://v.test/1', p_credits_charged => 3);
    perform set_config('story.now', '2030-01-31 23:59:59.999999+00', true);
    v_job := public.generate_video_atomic(v_ada, v_veo, 'A train.', null, gen_random_uuid())
        ->> 'job_id';
    perform set_config('story.now', '2030-02-01 00:00:00+00', true);
    perform public.start_video_job(v_ada, v_job, 'fal-2');
    perform public.fail_video_job('fal', 'fal-2', 'out of paint');
    perform public.generate_video_atomic(v_ada, v_veo, 'A plane.', null, gen_random_uuid());
    perform rendio.ensure_partitions();
end $$;

set local role service_role;
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');
select is_empty(
    $$ select * from public.reconcile_credits('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'Ada''s too'
);
select is_empty(
    $$ select * from public.reconcile_credits('99999999-0000-4000-8000-000000000001') $$,
    'who is unknown has no books'
);
reset role;

-- What the proof says after a change that no function would make. The change is undone.
grant update, delete on public.quota_log to rendio_owner;
create function pg_temp.said_after(p_change text) returns text[] language plpgsql as $$
declare
    v_all text[];
    v_ada text[];
begin
    execute p_change;
    v_all := array(
        select concat_ws(' ', r.problem, coalesce(r.expected::text, '-'), r.actual) collate "C"
        from public.reconcile_credits() as r order by 1
    );
    v_ada := array(
        select concat_ws(' ', r.problem, coalesce(r.expected::text, '-'), r.actual) collate "C"
        from public.reconcile_credits('aaaaaaaa-0000-4000-8000-000000000001') as r order by 1
    );
    if v_ada is distinct from v_all then
        v_all := v_all || '… and something else for Ada alone'::text;
    end if;
    raise sqlstate 'UNDOO';
exception
    when sqlstate 'UNDOO' then
        return v_all;
end $$;

select is(
    pg_temp.said_after($$ update public.users set credits_remaining = credits_remaining + 1
        where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$),
    '{balance_differs_from_ledger 78 79}', 'a balance out of nowhere'
);
select is(
    pg_temp.said_after($$ update public.users set credits_total = 0
        where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$),
    '{credits_total_differs_from_ledger 85 0}', 'a total that was lowered'
);
select is(
    pg_temp.said_after($$ update public.users set ledger_seq = ledger_seq + 1
        where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$),
    '{ledger_seq_differs_from_ledger 9 10}', 'an entry that was never written'
);
select is(
    pg_temp.said_after($$ delete from public.quota_log
        where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq = 9 $$),
    '{balance_differs_from_ledger 82 78,job_charge_differs_from_ledger 0 4,
      ledger_seq_differs_from_ledger 8 9}',
    'the last entry deleted'
);
select is(
    pg_temp.said_after($$ delete from public.quota_log
        where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq = 2 $$),
    '{balance_after_differs_from_chain 30 35,balance_differs_from_ledger 73 78,
      credits_total_differs_from_ledger 80 85,ledger_entry_missing 2 3,
      "lot_differs_from_ledger - 5"}',
    'an entry in the middle deleted'
);
select is(
    pg_temp.said_after($$ update public.quota_log set change = 6, balance_after = 16
        where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq = 2 $$),
    '{balance_after_differs_from_chain 36 35,balance_differs_from_ledger 79 78,
      credits_total_differs_from_ledger 86 85,lot_differs_from_ledger 6 5}',
    'an entry that was raised'
);
select is(
    pg_temp.said_after($$ update public.quota_log set created_at = '2030-01-14'
        where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq = 2 $$),
    '{"ledger_outside_of_its_times 0 9","ledger_time_runs_backwards 1 2"}',
    'an entry that was dated back'
);
select is(
    pg_temp.said_after($$ insert into public.quota_log
        (user_id, seq, created_at, balance_after, change, reason)
        values ('aaaaaaaa-0000-4000-8000-000000000001', 9, '2030-02-02', 79, 1, 'promo_grant') $$),
    '{balance_differs_from_ledger 79 78,credits_total_differs_from_ledger 86 85,
      ledger_entry_missing 10 9,ledger_outside_of_its_times 0 9,"lot_differs_from_ledger 1"}',
    'a number used twice'
);
select is(
    pg_temp.said_after($$ update public.video_jobs set credits_used = 5
        where prompt = 'A plane.' $$),
    '{job_charge_differs_from_ledger 4 5}', 'a job that says it cost more'
);
select is(
    pg_temp.said_after($$ update public.video_jobs set credits_refunded = 0
        where prompt = 'A boat.' $$),
    '{job_refund_differs_from_ledger 1 0}', 'a refund that the job forgot'
);
select is(
    pg_temp.said_after($$ update public.video_jobs set status = 'failed'
        where prompt = 'A plane.' $$),
    '{job_refund_differs_from_status 4 0}', 'a job that failed and kept its credits'
);
select is(
    pg_temp.said_after($$ update public.video_jobs set status = 'processing'
        where prompt = 'A train.' $$),
    '{job_refund_differs_from_status 0 4}', 'a job at work that was refunded'
);
select is(
    pg_temp.said_after($$ delete from public.video_jobs where prompt = 'A train.' $$),
    '{job_charge_differs_from_ledger 4 0,job_refund_differs_from_ledger 4 0}', 'a job deleted'
);
select is(
    pg_temp.said_after($$
        with twice as (
            insert into public.quota_log
                (user_id, seq, created_at, balance_after, change, reason, job_id)
            select user_id, 10, '2030-02-02', 82, 4, reason, job_id from public.quota_log
            where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq = 8
            returning *
        )
        update public.users as u
        set credits_remaining = t.balance_after, ledger_seq = t.seq
        from twice as t where u.id = t.user_id $$),
    '{ledger_outside_of_its_times 0 10,refund_exceeds_charge 4 8}',
    'a job that was given back twice'
);
select is(
    pg_temp.said_after($$ insert into public.video_jobs_archive
        select * from public.video_jobs where prompt = 'A plane.' $$),
    '{job_charge_differs_from_ledger 4 8}', 'a job that was moved to the archive and stayed'
);
select is(
    pg_temp.said_after($$ update public.credit_grants set amount = 21
        where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq = 3 $$),
    '{lot_differs_from_ledger 20 21}', 'a lot that grew'
);
select is(
    pg_temp.said_after($$ delete from public.credit_grants
        where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq = 3 $$),
    '{"lot_differs_from_ledger 20"}', 'a lot deleted'
);
select is(
    pg_temp.said_after($$ update public.iap_transactions set credits_added = 120
        where environment = 'Production' and transaction_id = '2000001' $$),
    '{purchase_differs_from_ledger 20 120}', 'a purchase that says it brought more'
);
select is(
    pg_temp.said_after($$ delete from public.iap_transactions where environment = 'Sandbox' $$),
    '{purchase_differs_from_ledger 50 0}', 'credits that nobody bought'
);
select is(
    pg_temp.said_after($$ update public.iap_transactions set ledger_seq = null
        where environment = 'Production' and transaction_id = '2000001' $$),
    '{purchase_differs_from_ledger 0 20,
      purchase_differs_from_ledger 20 0}',
    'a purchase that lost its entry, and an entry that lost its purchase'
);
select is(
    pg_temp.said_after($$ insert into public.quota_log
        (user_id, seq, created_at, balance_after, change, reason)
        select id, ledger_seq + 1, '2029-01-01', 78, -1, 'admin_adjustment' from public.users
        where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$),
    '{balance_after_differs_from_chain 77 78,balance_differs_from_ledger 77 78,
      entries_in_default_partition 0 1,ledger_outside_of_its_times 0 9,
      ledger_seq_differs_from_ledger 10 9,
      ledger_time_runs_backwards 9 10}',
    'an entry of a month that has no partition'
);
select is(
    pg_temp.said_after($$ update public.video_jobs set times_out_at = '2030-01-31 23:00:00+00'
        where prompt = 'A plane.' $$),
    '{hold_older_than_sweep 0 4}', 'a job that nobody swept'
);
select is(
    pg_temp.said_after($$ update public.users set deleted_at = now()
        where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$),
    '{closed_account_holds_credits 0 78}', 'a deleted account that has credits'
);
select is(
    pg_temp.said_after($$ update public.users set is_blocked = true
        where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$),
    '{blocked_differs_from_debts 0 0}', 'who is blocked and owes nothing'
);
select is(
    pg_temp.said_after($$ update public.credit_grants set expires_at = '2030-02-03'
        where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq = 3 $$),
    '{expiry_is_not_watched 0 78}', 'a lot that nobody will see end'
);
select is(
    pg_temp.said_after($$ update public.users set ledger_at = '2030-01-20'
        where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$),
    '{ledger_outside_of_its_times 0 9}', 'a ledger that ends later than its account knows'
);
select is(
    pg_temp.said_after($$ update public.users set merged_into
        = 'aaaaaaaa-0000-4000-8000-000000000001'
        where id = 'bbbbbbbb-0000-4000-8000-000000000001' $$),
    '{closed_account_holds_credits 0 10,"… and something else for Ada alone"}',
    'a guest that was merged and kept its credits'
);
select is(
    pg_temp.said_after($$ update public.quota_log set reason = 'guest_merge_in'
        where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq = 2 $$),
    '{merges_differ 0 5}', 'credits that came from no guest'
);
select is(
    pg_temp.said_after($$ update public.quota_log set is_sandbox = false
        where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and is_sandbox $$),
    '{purchase_of_another_environment 50 50}', 'what the sandbox gave, as if it had been paid for'
);
select is(
    pg_temp.said_after($$ insert into public.purchase_revocations
        (user_id, origin, revoked, policy, created_at)
        values ('aaaaaaaa-0000-4000-8000-000000000001', gen_random_uuid(), 5, 'debt', now()) $$),
    '{revocation_differs_from_notification 0 5}', 'a debt for no purchase'
);
-- Folded lots, and what open jobs drew from them: the plane still runs.
do $$ begin
    perform rendio.fold_lots('aaaaaaaa-0000-4000-8000-000000000001');
end $$;
select is_empty($$ select * from public.reconcile_credits() $$, 'folded, the books agree as well');
select is(
    pg_temp.said_after($$ update public.credit_grants set remaining = remaining - 1
        where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq = 3 $$),
    '{lots_differ_from_balance 78 77}', 'a lot that lost a credit'
);
select is(
    pg_temp.said_after($$ update public.users set lots_seq = 8
        where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$),
    '{draws_differ_from_charge 0 4,lots_differ_from_balance 82 78}',
    'lots that are ahead of what they say they account for'
);
select is(
    pg_temp.said_after($$ update public.users set lots_seq = 0
        where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$),
    '{draws_differ_from_charge 0 4}', 'draws of a user whose lots were never folded'
);
select is(
    pg_temp.said_after($$ update public.users set lots_seq = 99
        where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$),
    '{lots_differ_from_balance 0 78}', 'lots that account for entries that are not there'
);
select is(
    pg_temp.said_after($$ update public.credit_draws set credits = credits + 1 $$),
    '{draws_differ_from_charge 4 5}', 'a job that could return more than it took'
);
select is(
    pg_temp.said_after($$ delete from public.credit_draws $$),
    '{draws_differ_from_charge 4 0}', 'a job that could return less than it took'
);
select is(
    pg_temp.said_after($$ update public.credit_draws
        set job_id = 'dddddddd-0000-4000-8000-000000000001' $$),
    '{draws_differ_from_charge 0 4,draws_differ_from_charge 4 0}', 'draws of a job that never was'
);
select is(
    pg_temp.said_after($$ insert into public.credit_grants
        (user_id, seq, n, priority, kind, amount, remaining, created_at)
        values ('aaaaaaaa-0000-4000-8000-000000000001', 7, 1, 10, 'promotional', 1, 1, now()) $$),
    '{"lot_differs_from_ledger -4 1","lots_differ_from_balance 78 79"}',
    'a lot that a charge is said to have brought'
);
select is(
    pg_temp.said_after($$ insert into public.credit_grants
        (user_id, seq, n, priority, kind, amount, remaining, created_at)
        values ('aaaaaaaa-0000-4000-8000-000000000001', 8, 1, 10, 'promotional', 5, 0, now()) $$),
    '{"lot_differs_from_ledger 4 5"}', 'a lot that is more than the refund which opened it'
);
select is(
    pg_temp.said_after($$ insert into public.credit_grants
        (user_id, seq, n, priority, kind, amount, remaining, created_at)
        values ('aaaaaaaa-0000-4000-8000-000000000001', 8, 1, 10, 'promotional', 4, 0, now()) $$),
    '{}', 'a refund may open a lot of what it returned'
);

insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason)
values ('99999999-0000-4000-8000-000000000001', 1, '2030-02-01', 5, 5, 'promo_grant');
select set_eq(
    $$ select user_id, problem, expected, actual from public.reconcile_credits() $$,
    $$ values
       ('99999999-0000-4000-8000-000000000001'::uuid, 'ledger_without_account', null::bigint,
        5::bigint),
       ('99999999-0000-4000-8000-000000000001', 'lot_differs_from_ledger', 5, null) $$,
    'a ledger without an account'
);

-- In ranges of ids, both ends included: Ada, Ben and who has no account.
create function pg_temp.said_of(p_user uuid, p_from uuid, p_until uuid) returns bigint
language sql as $$ select count(*) from public.reconcile_credits(p_user, p_from, p_until); $$;
update public.users set credits_remaining = credits_remaining + 1;
select is(pg_temp.said_of(null, null, null), 4::bigint, 'Ada and Ben each have a credit too many');
select results_eq(
    $$ select
           pg_temp.said_of(null, null, 'aaaaaaaa-0000-4000-8000-000000000001'),
           pg_temp.said_of(null, 'aaaaaaaa-0000-4000-8000-000000000002', null) $$,
    $$ values (3::bigint, 1::bigint) $$,
    'as those up to an id are told, and those from the next one'
);
select is(
    pg_temp.said_of(
        null, '99999999-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001'
    ),
    3::bigint, 'or those from one to another'
);
select results_eq(
    $$ select
           pg_temp.said_of('aaaaaaaa-0000-4000-8000-000000000001',
               'aaaaaaaa-0000-0000-0000-000000000000', 'aaaaaaaa-ffff-ffff-ffff-ffffffffffff'),
           pg_temp.said_of('aaaaaaaa-0000-4000-8000-000000000001',
               'b0000000-0000-0000-0000-000000000000', null) $$,
    $$ values (1::bigint, 0::bigint) $$,
    'one user is told where that is among them'
);

-- Only the service may look.
set local role anon;
select throws_ok(
    $$ select * from public.reconcile_credits() $$, '42501', null, 'anon may not look'
);
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select * from public.reconcile_credits('aaaaaaaa-0000-4000-8000-000000000001') $$,
    '42501', null, 'nor may Ada'
);
reset role;
grant execute on function public.reconcile_credits to authenticated;
set local role authenticated;
select throws_ok(
    $$ select * from public.reconcile_credits('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT403', 'service_only', 'not even with the grant'
);
reset role;

select * from finish();
rollback;
