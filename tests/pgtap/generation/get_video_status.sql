-- One job, as its user may see it, through all its states.
begin;
select plan(17);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local timezone = 'UTC';
set local story.now = '2030-01-15 08:00:00+00';
do $$ begin
    perform rendio.ensure_partitions();
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform set_config('story.job', public.generate_video_atomic(
        'aaaaaaaa-0000-4000-8000-000000000001', '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        '{"seconds": 8}', gen_random_uuid()) ->> 'job_id', true);
end $$;

-- Pending.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is(
    public.get_video_status('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid),
    jsonb_build_object('job_id', current_setting('story.job'))
    || '{"model_id": "5f3b1e70-0000-4000-8000-000000000001", "model_name": "Veo 3.1",
         "prompt": "A boat.", "settings": {"seconds": 8}, "status": "pending", "error_code": null,
         "error_message": null, "video_url": null, "thumbnail_url": null, "credits_used": 4,
         "credits_refunded": 0, "created_at": "2030-01-15T08:00:00+00:00", "completed_at": null}',
    'a job that waits, key by key: no lease, no provider'
);

-- Processing, then completed.
reset role;
do $$ begin
    perform public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-1');
end $$;
select is(
    public.get_video_status('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid) ->> 'status',
    'processing', 'a job at work'
);
set local story.now = '2030-01-15 08:02:00+00';
do $$ begin
    perform public.complete_video_job('fal', 'fal-1', 'https://v.test/1.mp4',
        'https://v.test/1.jpg', null, 3);
end $$;
select is(
    public.get_video_status('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid)
    - array['job_id', 'model_id', 'model_name', 'prompt', 'settings', 'created_at'],
    '{"status": "completed", "error_code": null, "error_message": null,
      "video_url": "https://v.test/1.mp4", "thumbnail_url": "https://v.test/1.jpg",
      "credits_used": 4, "credits_refunded": 1, "completed_at": "2030-01-15T08:02:00+00:00"}',
    'a completed one'
);

-- Off the list it can still be seen, and without its model too.
do $$ begin
    perform public.delete_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid);
    delete from public.models where id = '5f3b1e70-0000-4000-8000-000000000001';
end $$;
select is(
    public.get_video_status('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid) -> 'model_name',
    'null', 'a deleted job of a vanished model'
);

-- Ada signs in on a phone that had an account, which takes this guest over; the job grows old.
do $$ begin
    perform public.link_apple_account('bbbbbbbb-0000-4000-8000-000000000001', 'ada-sub');
    perform public.device_check('cccccccc-0000-4000-8000-000000000001', 'cyd-phone');
    perform public.link_apple_account('cccccccc-0000-4000-8000-000000000001', 'cyd-sub');
end $$;
create function pg_temp.status_for(p_user_id uuid) returns text language plpgsql as $$ begin
    return public.get_video_status(p_user_id, current_setting('story.job')::uuid) ->> 'status';
exception
    when sqlstate 'PT404' then return sqlerrm;
end $$;
create temp table before as
select public.get_video_status(user_id, job_id) as seen from public.video_jobs;
do $$ begin
    perform public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000001', 'cyd-sub');
end $$;
select is(
    pg_temp.status_for('cccccccc-0000-4000-8000-000000000001'), 'completed',
    'the account sees its guest''s job'
);
set local story.now = '2030-06-01 08:00:00+00';
do $$ begin perform rendio.archive_jobs(); end $$;
select is_empty($$ select * from public.video_jobs $$, 'the job is in the archive');
select is(
    public.get_video_status('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid),
    (select seen from before), 'and looks as before'
);
select is(
    pg_temp.status_for('cccccccc-0000-4000-8000-000000000001'), 'completed',
    'to the account as well'
);
select is(
    pg_temp.status_for('bbbbbbbb-0000-4000-8000-000000000001'), 'job_not_found',
    'but not to another'
);
select throws_ok(
    $$ select public.get_video_status('cccccccc-0000-4000-8000-000000000001',
       'dddddddd-0000-4000-8000-000000000001') $$,
    'PT404', 'job_not_found', 'and no job is invented'
);

-- Whose job it is.
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
set local role authenticated;
select throws_ok(
    $$ select public.get_video_status('aaaaaaaa-0000-4000-8000-000000000001',
       'dddddddd-0000-4000-8000-000000000001') $$,
    'PT404', 'job_not_found', 'an unknown job'
);
select throws_ok(
    $$ select public.get_video_status('aaaaaaaa-0000-4000-8000-000000000001', null) $$,
    'PT400', 'invalid_argument', 'no job'
);
set local request.jwt.claims = '{"sub": "bbbbbbbb-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.get_video_status('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT403', 'not_your_account', 'Ben does not see it'
);
select throws_ok(
    $$ select public.get_video_status('bbbbbbbb-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT404', 'job_not_found', 'nor learns that it exists'
);
set local request.jwt.claims = '';
select throws_ok(
    $$ select public.get_video_status('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT401', 'not_authenticated', 'nobody sees nothing'
);
set local role anon;
select throws_ok(
    $$ select public.get_video_status('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    '42501', null, 'anon may not ask'
);
set local role service_role;
select throws_ok(
    $$ select public.get_video_status(null, current_setting('story.job')::uuid) $$,
    'PT400', 'invalid_argument', 'the service must name a user'
);
reset role;

select * from finish();
rollback;
