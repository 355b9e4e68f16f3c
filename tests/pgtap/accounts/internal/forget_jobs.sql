-- What a person's jobs say is erased, wherever it stands; what no worker took is given back.
begin;
select plan(10);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2030-01-01 08:00:00+00';
create function pg_temp.generate(p_prompt text, p_user_id uuid) returns uuid language sql as $$
    select (public.generate_video_atomic(p_user_id, '5f3b1e70-0000-4000-8000-000000000001',
        p_prompt, '{"seed": 4711}', gen_random_uuid()) ->> 'job_id')::uuid;
$$;
create function pg_temp.submit(p_prompt text, p_user_id uuid) returns void language sql as $$
    select public.start_video_job(p_user_id, pg_temp.generate(p_prompt, p_user_id), p_prompt);
$$;
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
    v_ben uuid := 'bbbbbbbb-0000-4000-8000-000000000001';
begin
    perform rendio.ensure_partitions();
    delete from public.video_jobs;
    perform public.device_check(v_ada, 'ada-phone');
    perform public.device_check(v_ben, 'ben-phone');
    perform public.add_credits(v_ada, 90, 'promo_grant', gen_random_uuid());
    perform pg_temp.submit('archived', v_ada);
    perform public.complete_video_job('fal', 'archived', 'https://v.test/a', 'https://v.test/t');
    perform set_config('story.now', '2030-06-01 08:00:00+00', true);
    perform rendio.ensure_partitions();
    perform rendio.archive_jobs();
    perform pg_temp.submit('completed', v_ada);
    perform public.complete_video_job('fal', 'completed', 'https://v.test/c', 'https://v.test/t');
    perform pg_temp.submit('failed', v_ada);
    perform public.fail_video_job('fal', 'failed', 'no boats please');
    perform public.complete_video_job('fal', 'failed', 'https://v.test/f', 'https://v.test/t');
    perform public.delete_video_job(user_id, job_id)
    from public.video_jobs where prompt = 'failed';
    perform pg_temp.submit('running', v_ada);
    perform pg_temp.generate('claimed', v_ada);
    perform public.claim_video_jobs('north', 1);
    perform pg_temp.generate('waiting', v_ada);
    perform pg_temp.generate('bens', v_ben);
end $$;
create temp table before as
select j.job_id, j.prompt, j.settings, j.status, j.attempt, j.deleted_at from public.video_jobs as j
union all
select j.job_id, j.prompt, j.settings, j.status, j.attempt, j.deleted_at
from public.video_jobs_archive as j;
create temp view now as
select * from public.video_jobs
union all
select * from public.video_jobs_archive;

set local story.now = '2030-06-02 08:00:00+00';
do $$ begin
    perform rendio.forget_jobs(array['aaaaaaaa-0000-4000-8000-000000000001'::uuid], '2030-06-02 08:00:00+00');
end $$;
select results_eq(
    $$ select b.prompt::text, n.status::text, n.error_code::text, n.credits_refunded::integer
       from now as n join before as b using (job_id) order by b.prompt $$,
    $$ values ('archived', 'completed', null::text, 0), ('bens', 'pending', null, 0),
       ('claimed', 'pending', null, 0), ('completed', 'completed', null, 0),
       ('failed', 'failed', 'provider_error', 4), ('running', 'processing', null, 0),
       ('waiting', 'failed', 'cancelled', 4) $$,
    'what waited is cancelled; what a worker or the provider has goes on'
);
select is_empty(
    $$ select * from now
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001'
           and (prompt <> '' or settings <> '{}'
               or coalesce(video_url, thumbnail_url, error_message) is not null) $$,
    'nothing that she said is left, nor what she got'
);
select results_eq(
    $$ select b.prompt::text, n.deleted_at from now as n join before as b using (job_id)
       order by b.prompt $$,
    $$ values ('archived', timestamptz '2030-06-02 08:00:00+00'), ('bens', null),
       ('claimed', '2030-06-02 08:00:00+00'), ('completed', '2030-06-02 08:00:00+00'),
       ('failed', '2030-06-01 08:00:00+00'), ('running', '2030-06-02 08:00:00+00'),
       ('waiting', '2030-06-02 08:00:00+00') $$,
    'her jobs are off every list, those that were so before as of then'
);
select results_eq(
    $$ select provider_job_id, outcome, video_url, thumbnail_url, error_message
       from public.provider_jobs order by 1 $$,
    $$ values ('archived', null::text, null::text, null::text, null::text),
       ('completed', null, null, null, null), ('failed', 'succeeded', null, null, null),
       ('running', null, null, null, null) $$,
    'a late success is known to have come, and not what it was'
);
select results_eq(
    $$ select prompt::text, settings from now
       where user_id = 'bbbbbbbb-0000-4000-8000-000000000001' $$,
    $$ values ('bens', '{"seed": 4711}'::jsonb) $$, 'Ben''s job is as it was'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    84::bigint, 'one job''s credits are back, four jobs'' are not'
);

select is(
    (select j.lease_expires_at from public.video_jobs as j join before as b using (job_id)
     where b.prompt = 'claimed'),
    'infinity'::timestamptz, 'what a worker has is not handed out again, without its prompt'
);

-- Again, and with nobody's.
create temp table once as select * from now;
do $$ begin
    perform rendio.forget_jobs(array['aaaaaaaa-0000-4000-8000-000000000001'::uuid], '2030-06-03 08:00:00+00');
    perform rendio.forget_jobs(array['eeeeeeee-0000-4000-8000-000000000001'::uuid], '2030-06-03 08:00:00+00');
end $$;
select is_empty($$ table now except table once $$, 'a second time changes nothing');
select is(
    (select count(*)::integer from now), 7, 'no job is gone: each has entries in the ledger'
);
select is_empty(
    $$ select * from public.reconcile_credits() where problem <> 'hold_older_than_sweep' $$,
    'the books agree, but for holds that nobody swept'
);

select * from finish();
rollback;
