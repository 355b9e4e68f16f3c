-- A job can be called back until a worker takes it.
begin;
select plan(17);

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

do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_ada, 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.add_credits(v_ada, 90, 'promo_grant', gen_random_uuid());
    perform set_config('story.job', public.generate_video_atomic(v_ada,
        '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', null, gen_random_uuid()) ->> 'job_id',
        true);
end $$;

-- Ada thinks better of it.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is(
    public.cancel_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid) - 'job_id',
    '{"status": "failed", "credits_refunded": 4, "replayed": false}',
    'a job that waits is cancelled'
);
reset role;
select results_eq(
    $$ select status::text, error_code::text, error_message::text, credits_refunded::integer,
           completed_at is not null
       from public.video_jobs where job_id = current_setting('story.job')::uuid $$,
    $$ values ('failed', 'cancelled', null, 4, true) $$, 'it has failed, as cancelled'
);
select results_eq(
    $$ select seq, change::bigint, balance_after::bigint, reason::text from public.quota_log
       where job_id = current_setting('story.job')::uuid order by seq $$,
    $$ values (3::bigint, -4::bigint, 96::bigint, 'video_generation'),
       (4, 4, 100, 'generation_failed_refund') $$,
    'and its credits are back'
);
select is(
    (select credits_total::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    100::bigint, 'a refund is no grant'
);

-- She taps the button twice.
select is(
    public.cancel_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid),
    jsonb_build_object('job_id', current_setting('story.job'), 'status', 'failed',
        'credits_refunded', 4, 'replayed', true),
    'the second time gives the first answer'
);
select is(
    pg_temp.rows_written_by($$ select public.cancel_video_job(
        'aaaaaaaa-0000-4000-8000-000000000001', current_setting('story.job')::uuid) $$),
    0::bigint, 'and writes nothing'
);

-- Too late: a worker took it, gave it up, or finished it.
do $$ begin
    perform set_config('story.job', public.generate_video_atomic(
        'aaaaaaaa-0000-4000-8000-000000000001', '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid()) ->> 'job_id', true);
    perform public.claim_video_jobs('worker', 1, '1 microsecond');
end $$;
select throws_ok(
    $$ select public.cancel_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT409', 'invalid_transition', 'once a worker had it, even if its lease ran out'
);
do $$ begin
    perform public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-1');
end $$;
select throws_ok(
    $$ select public.cancel_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT409', 'invalid_transition', 'while the provider works on it'
);
do $$ begin
    perform public.complete_video_job('fal', 'fal-1', 'https://v.test/1');
end $$;
select throws_ok(
    $$ select public.cancel_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT409', 'invalid_transition', 'when it is completed'
);
do $$ begin
    perform set_config('story.job', public.generate_video_atomic(
        'aaaaaaaa-0000-4000-8000-000000000001', '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid()) ->> 'job_id', true);
    perform public.refund_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid);
end $$;
select throws_ok(
    $$ select public.cancel_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT409', 'invalid_transition', 'and when it failed for another reason'
);

-- Whose job it is.
set local role authenticated;
set local request.jwt.claims = '{"sub": "bbbbbbbb-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.cancel_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT403', 'not_your_account', 'Ben does not cancel for Ada'
);
select throws_ok(
    $$ select public.cancel_video_job('bbbbbbbb-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT404', 'job_not_found', 'nor as himself'
);
select throws_ok(
    $$ select public.cancel_video_job('bbbbbbbb-0000-4000-8000-000000000001', null) $$,
    'PT400', 'invalid_argument', 'a job is required'
);
set local request.jwt.claims = '';
select throws_ok(
    $$ select public.cancel_video_job('bbbbbbbb-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT401', 'not_authenticated', 'and an identity'
);
set local role anon;
select throws_ok(
    $$ select public.cancel_video_job('bbbbbbbb-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    '42501', null, 'anon may not call it'
);
set local role service_role;
select throws_ok(
    $$ select public.cancel_video_job(null, current_setting('story.job')::uuid) $$,
    'PT400', 'invalid_argument', 'the service must name a user'
);
reset role;

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
