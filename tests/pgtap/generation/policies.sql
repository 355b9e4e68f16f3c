-- What Ada, a stranger and the service see of jobs, submissions and webhooks.
begin;
select plan(33);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'Ada''s boat', null, gen_random_uuid());
    perform public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'Ada''s old boat', null, gen_random_uuid());
    perform public.generate_video_atomic('bbbbbbbb-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'Ben''s dog', null, gen_random_uuid());
    perform public.delete_video_job(user_id, job_id)
    from public.video_jobs where prompt = 'Ada''s old boat';
end $$;

set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select results_eq(
    $$ select prompt::text from public.video_jobs $$, $$ values ('Ada''s boat') $$,
    'Ada sees her job, without the deleted one and Ben''s'
);
select lives_ok(
    $$ select user_id, job_id, model_id, prompt, settings, status, error_code, error_message,
       video_url, thumbnail_url, credits_used, credits_refunded, created_at, completed_at
       from public.video_jobs $$,
    'by these columns'
);
select throws_ok(
    format($$ select %I from public.video_jobs $$, c), '42501', null, c || ' is hidden'
)
from unnest(array['provider', 'provider_job_id', 'attempt', 'lease_owner', 'lease_expires_at',
    'started_at', 'times_out_at', 'deleted_at']) as c;
select throws_ok(
    $$ insert into public.video_jobs (user_id, job_id, model_id, prompt, credits_used, status,
           provider, created_at, times_out_at, video_url)
       values ('aaaaaaaa-0000-4000-8000-000000000001', gen_random_uuid(),
           '5f3b1e70-0000-4000-8000-000000000001', 'free', 1, 'pending', 'fal', now(), now(),
           'https://v.test/ben') $$,
    '42501', null, 'she makes no job past the till'
);
select throws_ok(
    $$ update public.video_jobs set status = 'failed', credits_refunded = 4 $$, '42501', null,
    'she ends none'
);
select throws_ok($$ delete from public.video_jobs $$, '42501', null, 'deletes none');
select throws_ok($$ truncate public.video_jobs $$, '42501', null, 'and does not empty the table');
select throws_ok(
    $$ select * from public.provider_jobs $$, '42501', null, 'submissions are hidden'
);
select throws_ok($$ select * from public.webhook_events $$, '42501', null, 'and webhooks');

select throws_ok(
    $$ select * from public.video_jobs_archive $$, '42501', null, 'old jobs are asked for by calls'
);

set local request.jwt.claims = '{}';
select is_empty($$ select job_id from public.video_jobs $$, 'a token without a user sees nothing');

set local role anon;
select throws_ok($$ select job_id from public.video_jobs $$, '42501', null, 'anon may not look');

set local role service_role;
select is(
    (select count(*)::integer from public.video_jobs
     where prompt in ('Ada''s boat', 'Ada''s old boat', 'Ben''s dog')),
    3, 'the service sees all, deleted ones too'
);
select lives_ok($$ select * from public.video_jobs_archive $$, 'old ones');
select lives_ok($$ select * from public.provider_jobs $$, 'submissions');
select lives_ok($$ select * from public.webhook_events $$, 'and webhooks');
select throws_ok(
    $$ update public.video_jobs set status = 'completed' $$, '42501', null,
    'but moves jobs only through functions'
);
select throws_ok($$ delete from public.video_jobs $$, '42501', null, 'and deletes none');
select throws_ok($$ delete from public.video_jobs_archive $$, '42501', null, 'however old');
reset role;

-- Ben's guest goes into Ada's account.
update public.users set merged_into = 'aaaaaaaa-0000-4000-8000-000000000001'
where id = 'bbbbbbbb-0000-4000-8000-000000000001';
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select set_eq(
    $$ select prompt::text from public.video_jobs $$, $$ values ('Ada''s boat'), ('Ben''s dog') $$,
    'the account sees its guest''s jobs'
);
set local request.jwt.claims = '{"sub": "bbbbbbbb-0000-4000-8000-000000000001"}';
select set_eq(
    $$ select prompt::text from public.video_jobs $$, $$ values ('Ben''s dog') $$,
    'the guest does not see the account''s'
);
set local request.jwt.claims = '{"sub": "cccccccc-0000-4000-8000-000000000001"}';
select is_empty($$ select job_id from public.video_jobs $$, 'and a stranger still sees nothing');
reset role;

-- What the tables themselves hold, for whoever writes.
select throws_ok(
    $$ update public.video_jobs set status = 'archived' $$, '22P02', null, 'there are four states'
);
select throws_ok(
    $$ update public.video_jobs set credits_refunded = 5 $$, '23514', null,
    'a refund is never larger than the price'
);
select throws_ok(
    $$ update public.video_jobs set credits_used = 0 $$, '23514', null, 'a job costs something'
);
select throws_ok(
    $$ insert into public.provider_jobs (provider, provider_job_id, user_id, job_id, attempt,
           created_at)
       select 'fal', 'fal-1', user_id, job_id, 1, now() from public.video_jobs $$,
    '23505', null, 'a provider''s id belongs to one job'
);

select * from finish();
rollback;
