-- A job of a user's, held until the transaction ends.
begin;
select plan(5);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform set_config('story.job', public.generate_video_atomic(
        'aaaaaaaa-0000-4000-8000-000000000001', '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid()) ->> 'job_id', true);
end $$;

select is(
    (rendio.lock_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid)).prompt::text,
    'A boat.', 'the job comes back whole'
);
select isnt(
    (select xmax::text from public.video_jobs where job_id = current_setting('story.job')::uuid),
    '0', 'and is locked'
);
select throws_ok(
    $$ select rendio.lock_job('bbbbbbbb-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT404', 'job_not_found', 'another user''s job is not there'
);
select throws_ok(
    $$ select rendio.lock_job('aaaaaaaa-0000-4000-8000-000000000001',
       'dddddddd-0000-4000-8000-000000000001') $$,
    'PT404', 'job_not_found', 'nor an unknown one'
);
select throws_ok(
    $$ select rendio.lock_job('aaaaaaaa-0000-4000-8000-000000000001', null) $$,
    'PT400', 'invalid_argument', 'and null is no job'
);

select * from finish();
rollback;
