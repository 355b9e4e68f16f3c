-- A provider's id is claimed for one job, for ever, with the attempt it belongs to.
begin;
select plan(11);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    for n in 1..2 loop
        perform set_config('story.job' || n, public.generate_video_atomic(
            'aaaaaaaa-0000-4000-8000-000000000001', '5f3b1e70-0000-4000-8000-000000000001',
            'A boat.', null, gen_random_uuid()) ->> 'job_id', true);
    end loop;
    update public.video_jobs set attempt = 3 where job_id = current_setting('story.job2')::uuid;
end $$;
create function pg_temp.attempt_of(p_job text, p_provider_job_id text, p_attempt integer)
returns integer language sql as $$
    select rendio.record_submission('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting(p_job)::uuid, p_provider_job_id, p_attempt, '2030-01-15 08:00+00')
$$;

select is(
    pg_temp.attempt_of('story.job1', 'a', null), 1, 'an unclaimed job is at its first attempt'
);
select is(pg_temp.attempt_of('story.job2', 'b', null), 3, 'without a number it is the current one');
select is(pg_temp.attempt_of('story.job2', 'c', 2), 2, 'an earlier one can be named');
select is(pg_temp.attempt_of('story.job2', 'c', null), 2, 'and is remembered');
select is(pg_temp.attempt_of('story.job2', 'c', 3), 2, 'whatever is said later');
select is(
    (select string_agg(provider || ' ' || provider_job_id || ' ' || attempt, ', '
        order by provider_job_id)
     from public.provider_jobs where provider_job_id in ('a', 'b', 'c')),
    'fal a 1, fal b 3, fal c 2', 'three submissions are on record'
);
select throws_ok(
    $$ select pg_temp.attempt_of('story.job1', 'c', null) $$,
    'PT409', 'invalid_transition', 'an id is never another job''s'
);
select throws_ok(
    $$ select pg_temp.attempt_of('story.job2', 'd', 4) $$,
    'PT400', 'invalid_argument', 'an attempt that was never handed out'
);
select throws_ok(
    $$ select pg_temp.attempt_of('story.job2', 'd', 0) $$,
    'PT400', 'invalid_argument', 'and none is no attempt'
);
select throws_ok(
    $$ select rendio.record_submission('aaaaaaaa-0000-4000-8000-000000000001',
       'dddddddd-0000-4000-8000-000000000001', 'd', null, now()) $$,
    'PT404', 'job_not_found', 'an unknown job'
);
select throws_ok(
    $$ select rendio.record_submission('aaaaaaaa-0000-4000-8000-000000000001', null, 'd', null,
       now()) $$,
    'PT400', 'invalid_argument', 'no job'
);

select * from finish();
rollback;
