-- The provider's bad news: credits go back, once, and only for the attempt that counts.
begin;
select plan(29);

create function pg_temp.rows_written_by(p_call text) returns bigint language plpgsql as $$
declare
    v_before bigint;
    v_after bigint;
begin
    select sum(n_tup_ins + n_tup_upd + n_tup_del) into v_before
    from pg_stat_xact_user_tables where schemaname in ('public', 'rendio');
    execute p_call;
    select sum(n_tup_ins + n_tup_upd + n_tup_del) into v_after
    from pg_stat_xact_user_tables where schemaname in ('public', 'rendio');
    return v_after - v_before;
end $$;

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2030-01-15 08:00:00+00';
do $$ begin
    perform rendio.ensure_partitions();
    delete from public.video_jobs;
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 90, 'promo_grant',
        gen_random_uuid());
end $$;
-- A job of Ada's, submitted to the provider under the given name.
create function pg_temp.submit(p_provider_job_id text) returns void language plpgsql as $$
declare
    v_job uuid := public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', p_provider_job_id, null, gen_random_uuid())
        ->> 'job_id';
begin
    perform public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001', v_job,
        p_provider_job_id);
end $$;

-- The provider gives up.
do $$ begin perform pg_temp.submit('fal-1'); end $$;
set local story.now = '2030-01-15 08:03:00+00';
set local role service_role;
select is(
    public.fail_video_job('fal', 'fal-1', 'out of paint', 'event-1') - 'job_id',
    '{"status": "failed", "credits_refunded": 4, "replayed": false}', 'the job fails'
);
reset role;
select results_eq(
    $$ select status::text, error_code::text, error_message::text, credits_refunded::integer,
           completed_at
       from public.video_jobs $$,
    $$ values ('failed', 'provider_error', 'out of paint', 4,
       timestamptz '2030-01-15 08:03:00+00') $$,
    'with what the provider said'
);
select results_eq(
    $$ select seq, change::bigint, balance_after::bigint, reason::text
       from public.quota_log where job_id is not null order by seq $$,
    $$ values (3::bigint, -4::bigint, 96::bigint, 'video_generation'),
       (4, 4, 100, 'generation_failed_refund') $$,
    'and the credits go back'
);
select results_eq(
    $$ select source, event_id, subject, kind from public.webhook_events $$,
    $$ values ('fal', 'event-1', 'fal-1', 'failed') $$, 'the webhook is on record'
);

-- It says so again.
select is(
    public.fail_video_job('fal', 'fal-1', 'really', 'event-1'),
    (select jsonb_build_object('job_id', job_id, 'status', 'failed', 'credits_refunded', 4,
        'replayed', true) from public.video_jobs),
    'the second time gives the same figures'
);
select is(
    pg_temp.rows_written_by(
        $$ select public.fail_video_job('fal', 'fal-1', 'really', 'event-1') $$),
    0::bigint, 'and writes nothing'
);

-- A completed job does not fail, a refunded one not twice.
do $$ begin
    perform pg_temp.submit('fal-2');
    perform public.complete_video_job('fal', 'fal-2', 'https://v.test/2.mp4',
        p_credits_charged => 3);
    perform pg_temp.submit('fal-3');
    perform public.refund_video_job(user_id, job_id) from public.video_jobs where prompt = 'fal-3';
end $$;
select is(
    public.fail_video_job('fal', 'fal-2', 'oh') - 'job_id',
    '{"status": "completed", "credits_refunded": 1, "replayed": true}',
    'a completed job keeps its video and its credits'
);
select is(
    public.fail_video_job('fal', 'fal-3', 'oh') - 'job_id',
    '{"status": "failed", "credits_refunded": 4, "replayed": true}',
    'a refunded job is refunded already'
);
select is(
    (select error_code::text from public.video_jobs where prompt = 'fal-3'), 'refunded',
    'and keeps its reason'
);

-- Only the current attempt's failure counts.
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
    v_job uuid;
begin
    v_job := public.generate_video_atomic(v_ada, '5f3b1e70-0000-4000-8000-000000000001', 'race',
        null, gen_random_uuid()) ->> 'job_id';
    perform public.claim_video_jobs('north', 1, '1 second');
    perform set_config('story.now', '2030-01-15 08:04:00+00', true);
    perform public.claim_video_jobs('south', 1);
    perform public.start_video_job(v_ada, v_job, 'fal-north', 1);
end $$;
select is(
    public.fail_video_job('fal', 'fal-north', 'no') - 'job_id',
    '{"status": "pending", "credits_refunded": 0, "replayed": true}',
    'an attempt that lost its lease fails nothing'
);
select results_eq(
    $$ select outcome, outcome_at, error_message from public.provider_jobs
       where provider_job_id = 'fal-north' $$,
    $$ values ('failed', timestamptz '2030-01-15 08:04:00+00', 'no') $$,
    'but is kept with its submission'
);
do $$ begin
    perform public.start_video_job(user_id, job_id, 'fal-south', 2)
    from public.video_jobs where prompt = 'race';
end $$;
select is(
    public.fail_video_job('fal', 'fal-north', 'no, I said') - 'job_id',
    '{"status": "processing", "credits_refunded": 0, "replayed": true}',
    'also while the other attempt is at work'
);
select is(
    public.fail_video_job('fal', 'fal-south', 'no') - 'job_id',
    '{"status": "failed", "credits_refunded": 4, "replayed": false}',
    'the current attempt''s failure ends it'
);
select is(
    public.complete_video_job('fal', 'fal-north', 'https://v.test/n.mp4') ->> 'status', 'failed',
    'and no success of the other brings it back'
);
select is(
    (select outcome || ' ' || video_url from public.provider_jobs
     where provider_job_id = 'fal-north'),
    'succeeded https://v.test/n.mp4', 'though its video is worth keeping'
);

-- What the provider says is kept as far as it goes.
do $$ begin
    perform pg_temp.submit('fal-4');
    perform public.fail_video_job('fal', 'fal-4', repeat('ü', 2000) || 'x');
    perform pg_temp.submit('fal-5');
    perform public.fail_video_job('fal', 'fal-5', repeat('ü', 2000));
    perform pg_temp.submit('fal-6');
    perform public.fail_video_job('fal', 'fal-6', null);
end $$;
select results_eq(
    $$ select error_message::text from public.video_jobs
       where prompt in ('fal-4', 'fal-5', 'fal-6') order by prompt::text $$,
    $$ values (repeat('ü', 2000)), (repeat('ü', 2000)), (null) $$,
    'the error is cut at 2,000 characters, and may be missing'
);

-- What is refused.
select throws_ok(
    $$ select public.fail_video_job('fal', 'unheard of', 'oh') $$,
    'PT404', 'job_not_found', 'a submission that was never recorded'
);
select throws_ok(
    format($$ select public.fail_video_job(%L, %L, 'oh', %L) $$, provider, provider_job_id,
        event_id),
    code, slug, what
)
from (values
    ('no provider', null, 'fal-1', null, 'PT400', 'invalid_argument'),
    ('an empty provider', '', 'fal-1', null, 'PT400', 'invalid_argument'),
    ('a long provider', repeat('x', 256), 'fal-1', null, 'PT413', 'payload_too_large'),
    ('no provider id', 'fal', null, null, 'PT400', 'invalid_argument'),
    ('an empty provider id', 'fal', '', null, 'PT400', 'invalid_argument'),
    ('a long provider id', 'fal', repeat('x', 256), null, 'PT413', 'payload_too_large'),
    ('an empty event id', 'fal', 'fal-1', '', 'PT400', 'invalid_argument'),
    ('a long event id', 'fal', 'fal-1', repeat('x', 256), 'PT413', 'payload_too_large')
) as t (what, provider, provider_job_id, event_id, code, slug);

-- Only the service is called by providers.
set local role anon;
select throws_ok(
    $$ select public.fail_video_job('fal', 'fal-1', 'oh') $$, '42501', null, 'anon may not call it'
);
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.fail_video_job('fal', 'fal-1', 'oh') $$, '42501', null, 'nor may Ada'
);
reset role;
grant execute on function public.fail_video_job to authenticated;
set local role authenticated;
select throws_ok(
    $$ select public.fail_video_job('fal', 'fal-1', 'oh') $$, 'PT403', 'service_only',
    'not even with the grant'
);
reset role;

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
