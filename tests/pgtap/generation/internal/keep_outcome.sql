-- A report that decides nothing any more is kept, once.
begin;
set local timezone = 'UTC';
set local datestyle = 'iso';
select plan(5);

insert into public.provider_jobs (provider, provider_job_id, user_id, job_id, attempt, created_at)
values ('fal', 'fal-1', 'aaaaaaaa-0000-4000-8000-000000000001',
    'dddddddd-0000-4000-8000-000000000001', 1, '2030-01-15 08:00+00');
create function pg_temp.report(
    p_outcome text, p_video_url text, p_error text, p_at timestamptz
) returns text language plpgsql as $$
declare
    v_submission public.provider_jobs;
begin
    select * into v_submission from public.provider_jobs where provider_job_id = 'fal-1';
    perform rendio.keep_outcome(v_submission, p_outcome, p_video_url, null, p_error, p_at);
    return (
        select concat_ws(' ', outcome, video_url, error_message, extract(minute from outcome_at))
        from public.provider_jobs where provider_job_id = 'fal-1'
    );
end $$;

select is(
    pg_temp.report('failed', null, 'oh', '2030-01-15 08:01+00'), 'failed oh 1',
    'a failure is kept, and when it came'
);
select is(
    pg_temp.report('failed', null, 'oh dear', '2030-01-15 08:02+00'), 'failed oh 1',
    'the first one stays'
);
select is(
    pg_temp.report('succeeded', 'https://v.test/1', null, '2030-01-15 08:03+00'),
    'succeeded https://v.test/1 3', 'a video is worth more than an error'
);
select is(
    pg_temp.report('succeeded', 'https://v.test/2', null, '2030-01-15 08:04+00'),
    'succeeded https://v.test/1 3', 'the first video stays'
);
select is(
    pg_temp.report('failed', null, 'oh no', '2030-01-15 08:05+00'),
    'succeeded https://v.test/1 3', 'and no error takes it away'
);

select * from finish();
rollback;
