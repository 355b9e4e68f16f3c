-- Jobs that ended more than 90 days ago move to the archive, whole and in batches.
begin;
select plan(11);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2030-01-01 08:00:00+00';
create function pg_temp.submit(p_prompt text) returns void language plpgsql as $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform public.start_video_job(v_ada, (public.generate_video_atomic(v_ada,
        '5f3b1e70-0000-4000-8000-000000000001', p_prompt, '{"seed": 1}', gen_random_uuid())
        ->> 'job_id')::uuid, p_prompt);
end $$;
do $$ begin
    perform rendio.ensure_partitions();
    delete from public.video_jobs;
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 90, 'promo_grant',
        gen_random_uuid());
    perform pg_temp.submit(n) from unnest('{failed,completed,forgotten,slow}'::text[]) as n;
    perform public.fail_video_job('fal', 'failed', 'no boats please');
    perform set_config('story.now', '2030-01-01 08:00:01+00', true);
    perform public.complete_video_job('fal', 'completed', 'https://v.test/1', 'https://v.test/2');
    perform set_config('story.now', '2030-01-01 08:00:02+00', true);
    perform public.complete_video_job('fal', 'forgotten', 'https://v.test/3', p_credits_charged => 1);
    perform public.delete_video_job(user_id, job_id)
    from public.video_jobs where prompt = 'forgotten';
end $$;
create temp table before as select * from public.video_jobs;
create temp view archived as
select prompt::text from public.video_jobs_archive;

set local story.now = '2030-04-01 08:00:00+00';
select is(rendio.archive_jobs(), 0::bigint, 'ninety days are not more than ninety');
set local story.now = '2030-05-01 08:00:00+00';
select is(rendio.archive_jobs(2), 2::bigint, 'a batch is no larger than asked');
select set_eq(
    'select * from archived', $$ values ('completed'), ('forgotten') $$,
    'the completed ones come first'
);
select is(rendio.archive_jobs(), 1::bigint, 'then the failed');
select is(rendio.archive_jobs(), 0::bigint, 'and no job twice');
select results_eq(
    $$ select prompt::text from public.video_jobs $$, $$ values ('slow') $$,
    'one that has not ended stays, however old it is'
);
select set_eq(
    $$ select * from public.video_jobs_archive union all select * from public.video_jobs $$,
    $$ select * from before $$, 'every column went along'
);
select is_empty(
    $$ select * from public.reconcile_credits() where problem <> 'hold_older_than_sweep' $$,
    'the books agree, but for holds that nobody swept'
);
select is(rendio.sweep_stuck_jobs(), 1::bigint, 'the sweeper ends that one');
select is(
    rendio.archive_jobs(), 0::bigint, 'which has ended only now, long as its time has been over'
);

-- Cron's alone.
set local role service_role;
select throws_ok(
    $$ select rendio.archive_jobs() $$, '42501', null, 'not even the service may call it'
);
reset role;

select * from finish();
rollback;
