-- Jobs whose time is over fail by themselves, and their credits go back.
begin;
select plan(18);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2030-01-15 08:00:00+00';
update public.models set timeout = '3 seconds' where id = '5f3b1e70-0000-4000-8000-000000000002';
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
    v_job uuid;
begin
    perform rendio.ensure_partitions();
    delete from public.video_jobs;
    perform public.device_check(v_ada, 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.add_credits(v_ada, 200, 'promo_grant', gen_random_uuid());
    -- Nobody starts the first; a worker claims the second and dies; the third's provider has three
    -- seconds, the fourth's half an hour; the fifth was refunded.
    perform public.generate_video_atomic(v_ada, '5f3b1e70-0000-4000-8000-000000000001', 'waits',
        null, gen_random_uuid());
    perform public.generate_video_atomic(v_ada, '5f3b1e70-0000-4000-8000-000000000001', 'claimed',
        null, gen_random_uuid());
    perform public.claim_video_jobs('north', 100, '1 day');
    v_job := public.generate_video_atomic(v_ada, '5f3b1e70-0000-4000-8000-000000000002', 'quick',
        null, gen_random_uuid()) ->> 'job_id';
    perform public.start_video_job(v_ada, v_job, 'fal-quick');
    v_job := public.generate_video_atomic(v_ada, '5f3b1e70-0000-4000-8000-000000000001', 'slow',
        null, gen_random_uuid()) ->> 'job_id';
    perform set_config('story.now', '2030-01-15 08:10:00+00', true);
    perform public.start_video_job(v_ada, v_job, 'fal-slow');
    v_job := public.generate_video_atomic(v_ada, '5f3b1e70-0000-4000-8000-000000000001', 'refunded',
        null, gen_random_uuid()) ->> 'job_id';
    perform public.refund_video_job(v_ada, v_job);
end $$;
create function pg_temp.timed_out() returns text language sql as $$
    select string_agg(prompt::text, ' ' order by prompt::text) from public.video_jobs
    where error_code = 'timed_out'
$$;

-- Each to the microsecond.
set local story.now = '2030-01-15 08:00:02.999999+00';
select is(rendio.sweep_stuck_jobs(), 0::bigint, 'nothing is over yet');
set local story.now = '2030-01-15 08:00:03+00';
select is(rendio.sweep_stuck_jobs(), 1::bigint, 'the model''s timeout runs from the start');
select is(pg_temp.timed_out(), 'quick', 'three seconds are over');
set local story.now = '2030-01-15 08:14:59.999999+00';
select is(rendio.sweep_stuck_jobs(), 0::bigint, 'the others have time');
set local story.now = '2030-01-15 08:15:00+00';
select is(rendio.sweep_stuck_jobs(), 2::bigint, 'fifteen minutes after its creation');
select is(
    pg_temp.timed_out(), 'claimed quick waits',
    'a job that nobody started is over, lease or not'
);
set local story.now = '2030-01-15 08:39:59.999999+00';
select is(rendio.sweep_stuck_jobs(), 0::bigint, 'the provider of the last has half an hour');
set local story.now = '2030-01-15 08:40:00+00';
select is(rendio.sweep_stuck_jobs(), 1::bigint, 'from the start, not from the creation');
select is(rendio.sweep_stuck_jobs(), 0::bigint, 'a job is swept once');
select results_eq(
    $$ select prompt::text, status::text, error_message::text, credits_refunded::integer,
           completed_at
       from public.video_jobs where error_code = 'timed_out' order by 1 $$,
    $$ values
       ('claimed', 'failed', 'No worker started the job in time.', 4,
        timestamptz '2030-01-15 08:15:00+00'),
       ('quick', 'failed', 'The provider did not answer in time.', 4, '2030-01-15 08:00:03+00'),
       ('slow', 'failed', 'The provider did not answer in time.', 4, '2030-01-15 08:40:00+00'),
       ('waits', 'failed', 'No worker started the job in time.', 4, '2030-01-15 08:15:00+00') $$,
    'each says why'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    210::bigint, 'all credits are back'
);

-- The provider answers after all.
select is(
    public.complete_video_job('fal', 'fal-slow', 'https://v.test/s.mp4') ->> 'replayed', 'true',
    'a success after the sweep changes nothing'
);
select is(
    (select outcome from public.provider_jobs where provider_job_id = 'fal-slow'), 'succeeded',
    'and is kept'
);

-- A bad hour: forty jobs of Ada's and one of Ben's, all stuck.
do $$ begin
    perform public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'bad hour', null, gen_random_uuid())
    from generate_series(1, 40);
    perform public.generate_video_atomic('bbbbbbbb-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'bad hour', null, gen_random_uuid());
end $$;
set local story.now = '2030-01-15 10:00:00+00';
select is(rendio.sweep_stuck_jobs(3), 3::bigint, 'a run takes no more than asked');
select is(
    rendio.sweep_stuck_jobs(), 38::bigint, 'and otherwise all of them, however many one user has'
);

-- A guest's job is stuck when the guest has gone into an account.
do $$
declare
    v_account uuid := 'aaaaaaaa-0000-4000-8000-000000000009';
begin
    perform public.device_check(v_account, 'ada-tablet');
    perform public.link_apple_account(v_account, 'ada-sub');
    perform public.generate_video_atomic('bbbbbbbb-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'guest''s', null, gen_random_uuid());
    perform public.link_apple_account('bbbbbbbb-0000-4000-8000-000000000001', 'ada-sub');
end $$;
set local story.now = '2030-01-15 11:00:00+00';
select is(rendio.sweep_stuck_jobs(), 1::bigint, 'it is swept like any other');
select is(
    (select credits_remaining::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000009'),
    20::bigint, 'and the credits come to the account'
);

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
