-- Support gives the credits of a job back, while there is something to give back.
begin;
select plan(20);

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
create function pg_temp.new_job() returns void language plpgsql as $$
begin
    perform set_config('story.job', public.generate_video_atomic(
        'aaaaaaaa-0000-4000-8000-000000000001', '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid()) ->> 'job_id', true);
end $$;

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 90, 'promo_grant',
        gen_random_uuid());
    perform pg_temp.new_job();
end $$;

-- A job that waits.
set local role service_role;
select is(
    public.refund_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid),
    jsonb_build_object('job_id', current_setting('story.job'), 'credits_refunded', 4,
        'credits_remaining', 100, 'replayed', false),
    'the credits of a pending job go back'
);
reset role;
select results_eq(
    $$ select status::text, error_code::text, credits_refunded::integer from public.video_jobs
       where job_id = current_setting('story.job')::uuid $$,
    $$ values ('failed', 'refunded', 4) $$, 'and the job has failed, as refunded'
);
select results_eq(
    $$ select change::bigint, balance_after::bigint, reason::text from public.quota_log
       where job_id = current_setting('story.job')::uuid order by seq $$,
    $$ values (-4::bigint, 96::bigint, 'video_generation'),
       (4, 100, 'generation_failed_refund') $$,
    'with one entry for it in the ledger'
);

-- Once more.
do $$ begin
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 1, 'promo_grant',
        gen_random_uuid());
end $$;
select is(
    public.refund_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid),
    jsonb_build_object('job_id', current_setting('story.job'), 'credits_refunded', 4,
        'credits_remaining', 101, 'replayed', true),
    'the second time gives nothing and tells today''s balance'
);
select is(
    pg_temp.rows_written_by($$ select public.refund_video_job(
        'aaaaaaaa-0000-4000-8000-000000000001', current_setting('story.job')::uuid,
        'partial_refund') $$),
    0::bigint, 'and writes nothing, whatever the reason'
);

-- A job at work, with another reason.
do $$ begin
    perform pg_temp.new_job();
    perform public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-1');
end $$;
select is(
    public.refund_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'partial_refund') ->> 'replayed',
    'false', 'a job at work is refunded'
);
select is(
    (select reason::text from public.quota_log
     where job_id = current_setting('story.job')::uuid and change > 0),
    'partial_refund', 'the ledger has the reason that was given'
);

-- A job that failed by itself was refunded then; a cancelled one too.
do $$ begin
    perform pg_temp.new_job();
    perform public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-2');
    perform public.fail_video_job('fal', 'fal-2', 'oh');
end $$;
select is(
    public.refund_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid) - 'job_id',
    '{"credits_refunded": 4, "credits_remaining": 101, "replayed": true}',
    'a job that failed has its credits back already'
);
do $$ begin
    perform pg_temp.new_job();
    perform public.cancel_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid);
end $$;
select is(
    public.refund_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid) ->> 'replayed',
    'true', 'and so has a cancelled one'
);

-- A completed job keeps its credits.
do $$ begin
    perform pg_temp.new_job();
    perform public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-3');
    perform public.complete_video_job('fal', 'fal-3', 'https://v.test/3.mp4');
end $$;
select throws_ok(
    $$ select public.refund_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT409', 'job_not_refundable', 'a completed job is not refunded'
);

-- What is refused.
do $$ begin perform pg_temp.new_job(); end $$;
select throws_ok(
    format($$ select public.refund_video_job(%L, %L, %L) $$, user_id, job_id, reason), code, slug,
    what
)
from (values
    ('no user', null, current_setting('story.job'), 'partial_refund', 'PT400', 'invalid_argument'),
    ('no job', 'aaaaaaaa-0000-4000-8000-000000000001', null, 'partial_refund', 'PT400',
     'invalid_argument'),
    ('no reason', 'aaaaaaaa-0000-4000-8000-000000000001', current_setting('story.job'), null,
     'PT400', 'invalid_argument'),
    ('a reason that is none', 'aaaaaaaa-0000-4000-8000-000000000001', current_setting('story.job'),
     'promo_grant', 'PT400', 'invalid_argument'),
    ('an unknown job', 'aaaaaaaa-0000-4000-8000-000000000001',
     'dddddddd-0000-4000-8000-000000000001', 'partial_refund', 'PT404', 'job_not_found'),
    ('a job of another user', 'bbbbbbbb-0000-4000-8000-000000000001', current_setting('story.job'),
     'partial_refund', 'PT404', 'job_not_found')
) as t (what, user_id, job_id, reason, code, slug);
set local role anon;
select throws_ok(
    $$ select public.refund_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    '42501', null, 'anon may not call it'
);
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.refund_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    '42501', null, 'nor may Ada'
);
reset role;
grant execute on function public.refund_video_job to authenticated;
set local role authenticated;
select throws_ok(
    $$ select public.refund_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT403', 'service_only', 'not even with the grant'
);
reset role;

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
