-- The provider's good news: in time, twice, late, and for an attempt that no longer counted.
begin;
select plan(45);

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

-- The whole price.
do $$ begin perform pg_temp.submit('fal-1'); end $$;
set local story.now = '2030-01-15 08:03:00+00';
set local role service_role;
select is(
    public.complete_video_job('fal', 'fal-1', 'https://v.test/1.mp4', 'https://v.test/1.jpg',
        'event-1') - 'job_id',
    '{"status": "completed", "credits_charged": 4, "credits_refunded": 0, "replayed": false}',
    'a completed job keeps its credits'
);
reset role;
select results_eq(
    $$ select status::text, video_url::text, thumbnail_url::text, credits_used::integer,
           credits_refunded::integer, error_code::text, completed_at, lease_owner
       from public.video_jobs where prompt = 'fal-1' $$,
    $$ values ('completed', 'https://v.test/1.mp4', 'https://v.test/1.jpg', 4, 0, null::text,
       timestamptz '2030-01-15 08:03:00+00', null::text) $$,
    'and has its video'
);
select results_eq(
    $$ select source, event_id, subject, kind, received_at from public.webhook_events $$,
    $$ values ('fal', 'event-1', 'fal-1', 'completed', timestamptz '2030-01-15 08:03:00+00') $$,
    'the webhook is on record'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    96::bigint, 'nothing came back'
);

-- The webhook comes again, with the same event and with another.
set local story.now = '2030-01-15 08:04:00+00';
select is(
    public.complete_video_job('fal', 'fal-1', 'https://v.test/other.mp4', null, 'event-1', 0),
    (select jsonb_build_object('job_id', job_id, 'status', 'completed', 'credits_charged', 4,
        'credits_refunded', 0, 'replayed', true) from public.video_jobs),
    'a webhook sent twice gets the same figures'
);
select is(
    pg_temp.rows_written_by($$ select public.complete_video_job('fal', 'fal-1',
        'https://v.test/other.mp4', null, 'event-1') $$),
    0::bigint, 'and writes nothing'
);
select is(
    pg_temp.rows_written_by($$ select public.complete_video_job('fal', 'fal-1',
        'https://v.test/other.mp4', null, 'event-2') $$),
    1::bigint, 'a new event about it is on record too, and that is all'
);
select is(
    public.fail_video_job('fal', 'fal-1', 'changed our mind') ->> 'status', 'completed',
    'a failure after the success changes nothing'
);

-- A part of the price.
do $$ begin perform pg_temp.submit('fal-2'); end $$;
select is(
    public.complete_video_job('fal', 'fal-2', 'https://v.test/2.mp4', p_credits_charged => 1)
    - 'job_id',
    '{"status": "completed", "credits_charged": 1, "credits_refunded": 3, "replayed": false}',
    'when less was used the rest goes back'
);
select results_eq(
    $$ select q.change::bigint, q.reason::text from public.quota_log as q
       join public.video_jobs as j using (user_id, job_id) where j.prompt = 'fal-2' order by seq $$,
    $$ values (-4::bigint, 'video_generation'), (3, 'partial_refund') $$,
    'as a partial refund in the ledger'
);
select is(
    public.complete_video_job('fal', 'fal-2', 'https://v.test/2.mp4', p_credits_charged => 4)
    - 'job_id',
    '{"status": "completed", "credits_charged": 1, "credits_refunded": 3, "replayed": true}',
    'a later report of another price changes nothing'
);
do $$ begin perform pg_temp.submit('fal-3'), pg_temp.submit('fal-4'); end $$;
select is(
    public.complete_video_job('fal', 'fal-3', 'https://v.test/3.mp4', p_credits_charged => 0)
    - 'job_id',
    '{"status": "completed", "credits_charged": 0, "credits_refunded": 4, "replayed": false}',
    'it may have cost nothing'
);
select throws_ok(
    $$ select public.complete_video_job('fal', 'fal-4', 'https://v.test/4.mp4',
       p_credits_charged => 5) $$,
    'PT400', 'invalid_argument', 'but never more than was taken'
);
select throws_ok(
    $$ select public.complete_video_job('fal', 'fal-4', 'https://v.test/4.mp4',
       p_credits_charged => -1) $$,
    'PT400', 'invalid_argument', 'nor less than nothing'
);
select is(
    public.complete_video_job('fal', 'fal-4', 'https://v.test/4.mp4', p_credits_charged => 4)
    ->> 'credits_refunded',
    '0', 'all of it is all of it'
);

-- Too late: the job was refunded meanwhile.
do $$ begin
    perform pg_temp.submit('fal-5');
    perform public.refund_video_job(user_id, job_id) from public.video_jobs where prompt = 'fal-5';
end $$;
set local story.now = '2030-01-15 09:00:00+00';
select is(
    public.complete_video_job('fal', 'fal-5', 'https://v.test/5.mp4', 'https://v.test/5.jpg')
    - 'job_id',
    '{"status": "failed", "credits_charged": 0, "credits_refunded": 4, "replayed": true}',
    'a success after the refund changes nothing'
);
select results_eq(
    $$ select outcome, outcome_at, video_url, thumbnail_url from public.provider_jobs
       where provider_job_id = 'fal-5' $$,
    $$ values ('succeeded', timestamptz '2030-01-15 09:00:00+00', 'https://v.test/5.mp4',
       'https://v.test/5.jpg') $$,
    'and is kept with the submission'
);
select is(
    pg_temp.rows_written_by($$ select public.complete_video_job('fal', 'fal-5',
        'https://v.test/other.mp4') $$),
    0::bigint, 'the first report stays'
);

-- Any attempt's success completes the job, also while the next worker still has it.
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
    v_job uuid;
begin
    v_job := public.generate_video_atomic(v_ada, '5f3b1e70-0000-4000-8000-000000000001', 'race',
        null, gen_random_uuid()) ->> 'job_id';
    perform public.claim_video_jobs('north', 1, '1 second');
    perform set_config('story.now', '2030-01-15 09:01:00+00', true);
    perform public.claim_video_jobs('south', 1);
    perform public.start_video_job(v_ada, v_job, 'fal-north', 1);
end $$;
select is(
    public.complete_video_job('fal', 'fal-north', 'https://v.test/n.mp4') - 'job_id',
    '{"status": "completed", "credits_charged": 4, "credits_refunded": 0, "replayed": false}',
    'a success of an attempt that had lost its lease'
);
select results_eq(
    $$ select provider_job_id, lease_owner, lease_expires_at from public.video_jobs
       where prompt = 'race' $$,
    $$ values ('fal-north', null::text, null::timestamptz) $$, 'the job is that attempt''s now'
);
do $$ begin
    perform public.start_video_job(user_id, job_id, 'fal-south', 2)
    from public.video_jobs where prompt = 'race';
end $$;
select is(
    public.complete_video_job('fal', 'fal-south', 'https://v.test/s.mp4') ->> 'replayed', 'true',
    'the other attempt''s success comes second'
);
select is(
    (select video_url from public.provider_jobs where provider_job_id = 'fal-south'),
    'https://v.test/s.mp4', 'and its video is kept'
);
select is(
    (select video_url::text from public.video_jobs where prompt = 'race'), 'https://v.test/n.mp4',
    'beside the one that counted'
);

-- What is refused.
select throws_ok(
    $$ select public.complete_video_job('fal', 'unheard of', 'https://v.test/1.mp4') $$,
    'PT404', 'job_not_found', 'a submission that was never recorded: the sender tries again later'
);
select throws_ok(
    $$ select public.complete_video_job('runway', 'fal-1', 'https://v.test/1.mp4') $$,
    'PT404', 'job_not_found', 'ids are each provider''s own'
);
do $$ begin perform pg_temp.submit('fal-9'); end $$;
select throws_ok(
    format($$ select public.complete_video_job(%L, %L, %L, %L, %L) $$, provider, provider_job_id,
        video_url, thumbnail_url, event_id),
    code, slug, what
)
from (values
    ('no provider', null, 'fal-9', 'u', null, null, 'PT400', 'invalid_argument'),
    ('an empty provider', '', 'fal-9', 'u', null, null, 'PT400', 'invalid_argument'),
    ('a long provider', repeat('x', 256), 'fal-9', 'u', null, null, 'PT413', 'payload_too_large'),
    ('no provider id', 'fal', null, 'u', null, null, 'PT400', 'invalid_argument'),
    ('a long provider id', 'fal', repeat('x', 256), 'u', null, null, 'PT413', 'payload_too_large'),
    ('no video', 'fal', 'fal-9', null, null, null, 'PT400', 'invalid_argument'),
    ('an empty video', 'fal', 'fal-9', '', null, null, 'PT400', 'invalid_argument'),
    ('a video address of 2,049 characters', 'fal', 'fal-9', repeat('x', 2049), null, null,
     'PT413', 'payload_too_large'),
    ('a thumbnail address of 2,049 characters', 'fal', 'fal-9', 'u', repeat('x', 2049), null,
     'PT413', 'payload_too_large'),
    ('an empty event id', 'fal', 'fal-9', 'u', null, '', 'PT400', 'invalid_argument'),
    ('a long event id', 'fal', 'fal-9', 'u', null, repeat('x', 256), 'PT413', 'payload_too_large')
) as t (what, provider, provider_job_id, video_url, thumbnail_url, event_id, code, slug);
select is(
    public.complete_video_job('fal', 'fal-9', repeat('x', 2048), repeat('x', 2048),
        repeat('ü', 255)) ->> 'status',
    'completed', '2,048 and 255 characters are fine'
);

-- Ada's guest goes into an account, which is deleted while the provider works.
do $$
declare
    v_account uuid := 'aaaaaaaa-0000-4000-8000-000000000009';
begin
    perform pg_temp.submit('fal-10'), pg_temp.submit('fal-11');
    perform public.device_check(v_account, 'ada-tablet');
    perform public.link_apple_account(v_account, 'ada-sub');
    perform public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000001', 'ada-sub');
    perform set_config('story.credits', credits_remaining::text, true)
    from public.users where id = v_account;
end $$;
select is(
    public.complete_video_job('fal', 'fal-10', 'https://v.test/10.mp4', p_credits_charged => 1)
    - 'job_id',
    '{"status": "completed", "credits_charged": 1, "credits_refunded": 3, "replayed": false}',
    'a merged guest''s job completes'
);
select is(
    (select credits_remaining - current_setting('story.credits')::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000009'),
    3::bigint, 'what was not used comes to its account'
);
do $$ begin perform public.delete_account('aaaaaaaa-0000-4000-8000-000000000009'); end $$;
select is(
    public.complete_video_job('fal', 'fal-11', 'https://v.test/11.mp4', 'https://v.test/11.jpg',
        p_credits_charged => 1) ->> 'status',
    'completed', 'a deleted account''s job completes'
);
select results_eq(
    $$ select j.video_url::text, j.thumbnail_url::text, u.credits_remaining::bigint
       from public.video_jobs as j join public.users as u on u.id = j.user_id
       where j.provider_job_id = 'fal-11' $$,
    $$ values (null::text, null::text, 0::bigint) $$, 'and leaves neither video nor credits'
);

-- Only the service is called by providers.
set local role anon;
select throws_ok(
    $$ select public.complete_video_job('fal', 'fal-1', 'u') $$, '42501', null,
    'anon may not call it'
);
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.complete_video_job('fal', 'fal-1', 'u') $$, '42501', null, 'nor may Ada'
);
reset role;
grant execute on function public.complete_video_job to authenticated;
set local role authenticated;
select throws_ok(
    $$ select public.complete_video_job('fal', 'fal-1', 'u') $$, 'PT403', 'service_only',
    'not even with the grant'
);
reset role;

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
