-- A job of a user's, held until the transaction ends.
begin;
select plan(11);

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

-- A guest's job is its account's to lock, the archive's too.
insert into public.users (id, is_guest) values ('bbbbbbbb-0000-4000-8000-000000000002', false);
update public.users set merged_into = 'bbbbbbbb-0000-4000-8000-000000000002'
where id = 'aaaaaaaa-0000-4000-8000-000000000001';
select is(
    (rendio.lock_job('bbbbbbbb-0000-4000-8000-000000000002',
        current_setting('story.job')::uuid)).user_id,
    'aaaaaaaa-0000-4000-8000-000000000001', 'the account gets the job, which stays the guest''s'
);
select is(
    (rendio.lock_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid)).prompt::text,
    'A boat.', 'and so does whoever knows the guest: a webhook'
);
select throws_ok(
    $$ select rendio.lock_job('bbbbbbbb-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT404', 'job_not_found', 'but still nobody else'
);
with gone as (delete from public.video_jobs returning *)
insert into public.video_jobs_archive select * from gone;
select is(
    (rendio.lock_job(user_id, current_setting('story.job')::uuid)).prompt::text, 'A boat.', what
)
from (values
    ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, 'a job of the archive is found'),
    ('bbbbbbbb-0000-4000-8000-000000000002', 'by the account as well')
) as t (user_id, what);
select throws_ok(
    $$ select rendio.lock_job('bbbbbbbb-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT404', 'job_not_found', 'by nobody else'
);

select * from finish();
rollback;
