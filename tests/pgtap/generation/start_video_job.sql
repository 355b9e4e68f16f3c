-- A provider took the job: who counts, and what is done about the others.
begin;
select plan(36);

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
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2030-01-15 08:00:00+00';
do $$ begin
    perform rendio.ensure_partitions();
    delete from public.video_jobs;
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 90, 'promo_grant',
        gen_random_uuid());
end $$;
create function pg_temp.new_job() returns uuid language plpgsql as $$
declare
    v_job uuid := public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', null, gen_random_uuid()) ->> 'job_id';
begin
    perform set_config('story.job', v_job::text, true);
    return v_job;
end $$;

-- Without a worker: the backend submits the job right after it was made.
do $$ begin perform pg_temp.new_job(); end $$;
set local story.now = '2030-01-15 08:01:00+00';
set local role service_role;
select is(
    public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-1') - 'job_id',
    '{"status": "processing", "attempt": 1, "current": true}', 'a job that nobody claimed starts'
);
reset role;
select results_eq(
    $$ select status::text, attempt, provider_job_id, started_at, times_out_at, lease_owner
       from public.video_jobs $$,
    $$ values ('processing', 1, 'fal-1', timestamptz '2030-01-15 08:01:00+00',
       timestamptz '2030-01-15 08:31:00+00', null::text) $$,
    'the model''s 30 minutes run from here'
);
select results_eq(
    $$ select provider, provider_job_id, user_id, job_id::text, attempt, outcome, created_at
       from public.provider_jobs $$,
    $$ values ('fal', 'fal-1', 'aaaaaaaa-0000-4000-8000-000000000001'::uuid,
       current_setting('story.job'), 1, null::text, timestamptz '2030-01-15 08:01:00+00') $$,
    'the provider''s id is recorded'
);
select is(
    public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-1'),
    jsonb_build_object('job_id', current_setting('story.job'), 'status', 'processing',
        'attempt', 1, 'current', true),
    'starting it again says the same'
);
set local story.now = '2030-01-15 08:02:00+00';
select is(
    pg_temp.rows_written_by($$ select public.start_video_job(
        'aaaaaaaa-0000-4000-8000-000000000001', current_setting('story.job')::uuid, 'fal-1') $$),
    0::bigint, 'and writes nothing, so the time it has does not grow'
);

-- A second submission of the same job comes too late, and is kept.
select is(
    public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-1-again') - 'job_id',
    '{"status": "processing", "attempt": 1, "current": false}', 'another submission does not count'
);
select is(
    (select job_id::text from public.provider_jobs where provider_job_id = 'fal-1-again'),
    current_setting('story.job'), 'but its id is recorded: its webhook may come'
);
select is(
    (select provider_job_id from public.video_jobs), 'fal-1', 'the job stays with the first'
);

-- With workers: north is slow, its lease runs out, south claims the job.
do $$ begin perform pg_temp.new_job(); end $$;
do $$ begin perform public.claim_video_jobs('north'); end $$;
set local story.now = '2030-01-15 08:05:00+00';
do $$ begin perform public.claim_video_jobs('south'); end $$;
select is(
    public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-north', 1) - 'job_id',
    '{"status": "pending", "attempt": 2, "current": false}',
    'an attempt whose lease was given on does not start the job'
);
select is(
    (select lease_owner from public.video_jobs where job_id = current_setting('story.job')::uuid),
    'south', 'which stays with the worker that has it'
);
select is(
    public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-south', 2) - 'job_id',
    '{"status": "processing", "attempt": 2, "current": true}', 'that worker starts it'
);
select is(
    public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-north', 1) ->> 'current',
    'false', 'the slow one is told again that it lost'
);
select results_eq(
    $$ select provider_job_id, attempt from public.provider_jobs
       where job_id = current_setting('story.job')::uuid order by 1 $$,
    $$ values ('fal-north', 1), ('fal-south', 2) $$, 'both submissions are known, by attempt'
);

-- A lease that ran out and that nobody took over is still good.
do $$ begin perform pg_temp.new_job(); end $$;
do $$ begin perform public.claim_video_jobs('north', 1, '1 second'); end $$;
set local story.now = '2030-01-15 08:06:00+00';
select is(
    public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-late', 1) ->> 'current',
    'true', 'late, but nobody else has it'
);

-- Another model, another timeout; a vanished model gets 30 minutes.
update public.models set timeout = '3 seconds' where id = '5f3b1e70-0000-4000-8000-000000000001';
do $$ begin perform pg_temp.new_job(); end $$;
do $$ begin
    perform public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-quick');
end $$;
select is(
    (select times_out_at from public.video_jobs where provider_job_id = 'fal-quick'),
    '2030-01-15 08:06:03+00', 'the model''s timeout counts'
);
do $$ begin perform pg_temp.new_job(); end $$;
delete from public.models where id = '5f3b1e70-0000-4000-8000-000000000001';
do $$ begin
    perform public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-gone');
end $$;
select is(
    (select times_out_at from public.video_jobs where provider_job_id = 'fal-gone'),
    '2030-01-15 08:36:00+00', 'without its model a job gets half an hour'
);

-- A job that ended meanwhile.
do $$ begin perform public.complete_video_job('fal', 'fal-gone', 'https://v.test/1'); end $$;
select is(
    public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-gone') - 'job_id',
    '{"status": "completed", "attempt": 1, "current": false}', 'a completed job starts no more'
);
select is(
    public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-after') ->> 'current',
    'false', 'nor for a new submission'
);
select is(
    (select count(*)::integer from public.provider_jobs where provider_job_id = 'fal-after'),
    1, 'which is recorded all the same'
);

-- Refused.
insert into public.models (id, name, category, provider, cost_per_generation)
values ('5f3b1e70-0000-4000-8000-000000000001', 'Veo 3.1', 'c', 'fal', 4);
do $$ begin perform pg_temp.new_job(); end $$;
select throws_ok(
    $$ select public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid, 'fal-1') $$,
    'PT409', 'invalid_transition', 'a provider''s id that belongs to another job'
);
select throws_ok(
    format($$ select public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, %L, %L) $$, provider_job_id, attempt),
    code, slug, what
)
from (values
    ('no provider id', null, null::integer, 'PT400', 'invalid_argument'),
    ('an empty one', '', null, 'PT400', 'invalid_argument'),
    ('one of 256 characters', repeat('x', 256), null, 'PT413', 'payload_too_large'),
    ('attempt 0', 'fal-x', 0, 'PT400', 'invalid_argument'),
    ('a negative attempt', 'fal-x', -1, 'PT400', 'invalid_argument'),
    ('an attempt that was never handed out', 'fal-x', 2, 'PT400', 'invalid_argument')
) as t (what, provider_job_id, attempt, code, slug);
select is_empty(
    $$ select * from public.provider_jobs where provider_job_id in ('fal-x', '') $$,
    'a refused call records nothing'
);
select is(
    public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, repeat('x', 255), 1) ->> 'current',
    'true', '255 characters and the first attempt are fine'
);
select throws_ok(
    $$ select public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       'dddddddd-0000-4000-8000-000000000001', 'fal-x') $$,
    'PT404', 'job_not_found', 'an unknown job'
);
select throws_ok(
    $$ select public.start_video_job('bbbbbbbb-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid, 'fal-x') $$,
    'PT404', 'job_not_found', 'a job of another user'
);
select throws_ok(
    $$ select public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001', null, 'fal-x') $$,
    'PT400', 'invalid_argument', 'no job'
);
select throws_ok(
    $$ select public.start_video_job(null, current_setting('story.job')::uuid, 'fal-x') $$,
    'PT400', 'invalid_argument', 'no user'
);
set local role anon;
select throws_ok(
    $$ select public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid, 'fal-x') $$,
    '42501', null, 'anon may not call it'
);
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid, 'fal-x') $$,
    '42501', null, 'nor may Ada'
);
reset role;
grant execute on function public.start_video_job to authenticated;
set local role authenticated;
select throws_ok(
    $$ select public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid, 'fal-x') $$,
    'PT403', 'service_only', 'not even with the grant'
);
reset role;

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
