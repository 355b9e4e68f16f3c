-- Waiting jobs go to workers, each to one; a worker that dies loses its job to the next.
begin;
select plan(24);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local timezone = 'UTC';

-- Ada and Ben ask in turn, a second apart.
set local story.now = '2030-01-15 08:00:00+00';
do $$
declare
    v_user uuid;
begin
    perform rendio.ensure_partitions();
    delete from public.video_jobs;
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    for n in 1..4 loop
        v_user := (array['bbbbbbbb-0000-4000-8000-000000000001',
            'aaaaaaaa-0000-4000-8000-000000000001']::uuid[])[1 + n % 2];
        perform set_config('story.now', format('2030-01-15 08:00:0%s+00', n), true);
        perform public.generate_video_atomic(v_user, '5f3b1e70-0000-4000-8000-000000000001',
            'Job ' || n, '{"seconds": 8}', gen_random_uuid());
    end loop;
end $$;
set local story.now = '2030-01-15 08:01:00+00';
create function pg_temp.prompts(p_answer jsonb) returns text language sql as $$
    select string_agg(j ->> 'prompt' || ' #' || (j ->> 'attempt'), ', ' order by n)
    from jsonb_array_elements(p_answer -> 'jobs') with ordinality as t (j, n)
$$;

set local role service_role;
select is(
    public.claim_video_jobs('north', 1),
    (select jsonb_build_object('jobs', jsonb_build_array(jsonb_build_object(
        'user_id', 'aaaaaaaa-0000-4000-8000-000000000001', 'job_id', job_id, 'provider', 'fal',
        'provider_model_id', 'fal-ai/veo3.1', 'prompt', 'Job 1',
        'settings', '{"seconds": 8}'::jsonb, 'attempt', 1,
        'lease_expires_at', '2030-01-15T08:03:00+00:00')))
     from public.video_jobs where prompt = 'Job 1'),
    'the oldest job goes first, for two minutes, with all that a worker needs'
);
reset role;
select is(
    pg_temp.prompts(public.claim_video_jobs('south')), 'Job 2 #1, Job 3 #1, Job 4 #1',
    'the next worker gets the others, in the order in which they came'
);
select is(
    public.claim_video_jobs('west'), '{"jobs": []}', 'and the third worker nothing'
);
select results_eq(
    $$ select status::text, attempt, lease_owner from public.video_jobs order by prompt $$,
    $$ values ('pending', 1, 'north'), ('pending', 1, 'south'), ('pending', 1, 'south'),
       ('pending', 1, 'south') $$,
    'a claimed job still waits, in somebody''s hands'
);

-- South starts two of its jobs and dies; north lets its lease run out to the microsecond.
do $$ begin
    perform public.start_video_job(user_id, job_id, 'fal-' || prompt)
    from public.video_jobs where prompt in ('Job 2', 'Job 3');
end $$;
set local story.now = '2030-01-15 08:02:59.999999+00';
select is(public.claim_video_jobs('west'), '{"jobs": []}', 'a lease holds to its last microsecond');
set local story.now = '2030-01-15 08:03:00+00';
select is(
    pg_temp.prompts(public.claim_video_jobs('west', 10, '30 seconds')), 'Job 1 #2, Job 4 #2',
    'then the job is handed out again, as the next attempt; what was started is not'
);
select is(
    (select lease_expires_at from public.video_jobs where prompt = 'Job 4'),
    '2030-01-15 08:03:30+00', 'for as long as the worker asked'
);

-- A job whose 15 minutes are over is the sweeper's, to the microsecond.
set local story.now = '2030-01-15 08:15:01+00';
select is(
    pg_temp.prompts(public.claim_video_jobs('north')), 'Job 4 #3',
    'a job that is out of time is not handed out'
);

-- A job that its user took off the list is still worked on; an ended one is not.
set local story.now = '2030-01-15 09:00:00+00';
do $$ begin
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 50, 'promo_grant',
        gen_random_uuid());
    perform public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', p, null, gen_random_uuid())
    from unnest(array['deleted', 'cancelled', 'model gone']) as p;
    perform public.delete_video_job(user_id, job_id)
    from public.video_jobs where prompt = 'deleted';
    perform public.cancel_video_job(user_id, job_id)
    from public.video_jobs where prompt = 'cancelled';
    update public.video_jobs set model_id = 'eeeeeeee-0000-4000-8000-000000000001'
    where prompt = 'model gone';
end $$;
select set_eq(
    $$ select j ->> 'prompt' as prompt, j ->> 'provider_model_id' as model
       from jsonb_array_elements(public.claim_video_jobs('north') -> 'jobs') as j $$,
    $$ values ('deleted', 'fal-ai/veo3.1'), ('model gone', null) $$,
    'deleted jobs are handed out, cancelled ones not; a vanished model has no name'
);

-- Limits.
select throws_ok(
    format($$ select public.claim_video_jobs(%L, %L, %L) $$, worker, page, lease), code, slug,
    what || ' is refused'
)
from (values
    ('no worker', null, 1, '1 minute', 'PT400', 'invalid_argument'),
    ('an empty worker', '', 1, '1 minute', 'PT400', 'invalid_argument'),
    ('a worker of 256 characters', repeat('w', 256), 1, '1 minute', 'PT413', 'payload_too_large'),
    ('no limit', 'w', null, '1 minute', 'PT400', 'invalid_argument'),
    ('a limit of 0', 'w', 0, '1 minute', 'PT400', 'invalid_argument'),
    ('a limit of 101', 'w', 101, '1 minute', 'PT400', 'invalid_argument'),
    ('no lease', 'w', 1, null, 'PT400', 'invalid_argument'),
    ('a lease of nothing', 'w', 1, '0', 'PT400', 'invalid_argument'),
    ('a lease in the past', 'w', 1, '-1 second', 'PT400', 'invalid_argument'),
    ('a lease of more than a day', 'w', 1, '24:00:01', 'PT400', 'invalid_argument'),
    ('a lease of ages', 'w', 1, '170000000 years', 'PT400', 'invalid_argument')
) as t (what, worker, page, lease, code, slug);
select lives_ok(
    $$ select public.claim_video_jobs(repeat('w', 255), 100, '1 day') $$,
    '255 characters, 100 jobs and a day are allowed'
);

-- Only the service works.
set local role anon;
select throws_ok($$ select public.claim_video_jobs('w') $$, '42501', null, 'anon may not claim');
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.claim_video_jobs('w') $$, '42501', null, 'Ada may not, not even her own'
);
reset role;
grant execute on function public.claim_video_jobs to authenticated;
set local role authenticated;
select throws_ok(
    $$ select public.claim_video_jobs('w') $$, 'PT403', 'service_only', 'not even with the grant'
);
reset role;

select * from finish();
rollback;
