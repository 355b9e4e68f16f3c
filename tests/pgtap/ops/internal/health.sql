-- What an operator should look at.
begin;
select plan(13);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2031-10-15 08:00:00+00';
do $$ begin perform rendio.ensure_partitions(); end $$;
create function pg_temp.unwell() returns text language sql as $$
    select coalesce(string_agg(name, ', ' order by name), 'nothing')
    from rendio.health() where not ok
$$;

select results_eq(
    $$ select name, ok from rendio.health() $$,
    $$ values
       ('public.quota_log default partition empty', true),
       ('public.quota_log partitions ahead', true),
       ('stuck jobs swept', true),
       ('expired keys cleaned', true),
       ('notifications are heard', true),
       ('late successes', true) $$,
    'all is well, check by check'
);

-- Somebody buys, and nothing runs any more.
do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', null, gen_random_uuid());
end $$;
select is(pg_temp.unwell(), 'nothing', 'a new job is not stuck');
set local story.now = '2031-10-15 08:25:00+00';
select is(pg_temp.unwell(), 'nothing', 'nor ten minutes after its time');
set local story.now = '2031-10-15 08:25:00.000001+00';
select is(pg_temp.unwell(), 'stuck jobs swept', 'then somebody should have swept');
do $$ begin perform rendio.sweep_stuck_jobs(); end $$;
select is(pg_temp.unwell(), 'nothing', 'the sweeper puts it right');

set local story.now = '2031-10-16 10:00:00+00';
select is(pg_temp.unwell(), 'nothing', 'an expired key may lie for two hours');
set local story.now = '2031-10-16 10:00:00.000001+00';
select is(pg_temp.unwell(), 'expired keys cleaned', 'then somebody should have cleaned up');
do $$ begin perform rendio.cleanup_idempotency_log(); end $$;
select is(pg_temp.unwell(), 'nothing', 'the clean-up puts it right');

set local story.now = '2031-11-01 00:00:00+00';
select is(
    pg_temp.unwell(), 'public.quota_log partitions ahead', 'a month later a partition is missing'
);
set local story.now = '2039-01-01 00:00:00+00';
do $$ begin
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 1, 'promo_grant',
        gen_random_uuid());
end $$;
select is(
    pg_temp.unwell(),
    'public.quota_log default partition empty, public.quota_log partitions ahead',
    'years later the default partition takes the sales'
);
do $$ begin perform rendio.ensure_partitions(); end $$;
select is(pg_temp.unwell(), 'nothing', 'the partition manager puts both right');

-- A video that came after its refund is counted for a day.
do $$ begin
    perform public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'A train.', null, gen_random_uuid());
    perform public.start_video_job(user_id, job_id, 'fal-1')
    from public.video_jobs where prompt = 'A train.';
    perform public.refund_video_job(user_id, job_id)
    from public.video_jobs where prompt = 'A train.';
    perform public.complete_video_job('fal', 'fal-1', 'https://v.test/1.mp4');
end $$;
select matches(
    (select detail from rendio.health() where name = 'late successes'), '^1 in'::text,
    'a late success is counted'
);
set local story.now = '2039-01-02 00:00:00+00';
select matches(
    (select detail from rendio.health() where name = 'late successes'), '^0 in'::text,
    'for 24 hours'
);

select * from finish();
rollback;
