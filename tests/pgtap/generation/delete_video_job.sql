-- Off the list; the work and the money go on.
begin;
select plan(19);

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

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform set_config('story.job', public.generate_video_atomic(
        'aaaaaaaa-0000-4000-8000-000000000001', '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid()) ->> 'job_id', true);
    perform public.start_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-1');
end $$;

-- Ada takes a running job off her list.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is(
    public.delete_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid),
    jsonb_build_object('job_id', current_setting('story.job'), 'deleted', true), 'it is deleted'
);
select is(
    public.get_video_jobs('aaaaaaaa-0000-4000-8000-000000000001') -> 'jobs', '[]',
    'it is off her list'
);
select is_empty($$ select job_id from public.video_jobs $$, 'and out of her table');
select is(
    public.get_video_status('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid) ->> 'status',
    'processing', 'it still runs'
);
select is(
    (public.get_user_credits('aaaaaaaa-0000-4000-8000-000000000001'))
    ->> 'credits_remaining', '6', 'and still costs'
);

-- Again, and after its end.
reset role;
select is(
    pg_temp.rows_written_by($$ select public.delete_video_job(
        'aaaaaaaa-0000-4000-8000-000000000001', current_setting('story.job')::uuid) $$),
    0::bigint, 'deleting it again writes nothing'
);
select is(
    public.complete_video_job('fal', 'fal-1', 'https://v.test/1.mp4') ->> 'status', 'completed',
    'the provider''s success completes it'
);
select is(
    public.delete_video_job('aaaaaaaa-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid) ->> 'deleted',
    'true', 'deleted it stays'
);

-- A guest's job is off the account's list, in the archive or not.
do $$
declare
    v_cyd uuid := 'cccccccc-0000-4000-8000-000000000001';
    v_guest uuid := 'cccccccc-0000-4000-8000-000000000002';
begin
    perform public.device_check(v_cyd, 'cyd-phone');
    perform public.device_check(v_guest, 'cyd-tablet');
    perform public.generate_video_atomic(v_guest, '5f3b1e70-0000-4000-8000-000000000001', prompt,
        null, gen_random_uuid())
    from unnest('{old,new}'::text[]) as prompt;
    perform public.link_apple_account(v_cyd, 'cyd-sub');
    perform public.link_apple_account(v_guest, 'cyd-sub');
    perform public.cancel_video_job(user_id, job_id) from public.video_jobs where prompt = 'old';
    update public.video_jobs
    set completed_at = now() - interval '91 days', times_out_at = now() - interval '91 days'
    where prompt = 'old';
    perform rendio.archive_jobs();
end $$;
create temp view list as
select j ->> 'prompt' as prompt
from jsonb_array_elements(
    public.get_video_jobs('cccccccc-0000-4000-8000-000000000001') -> 'jobs') as j;
select set_eq('select * from list', $$ values ('new'), ('old') $$, 'the account has two jobs');
select lives_ok(
    $$ select public.delete_video_job('cccccccc-0000-4000-8000-000000000001', job_id)
       from public.video_jobs_archive where prompt = 'old' $$,
    'it deletes the one of the archive'
);
select set_eq('select * from list', $$ values ('new') $$, 'which leaves one');
do $$ begin
    perform public.delete_video_job('cccccccc-0000-4000-8000-000000000001', job_id)
    from public.video_jobs where prompt = 'new';
end $$;
select is_empty('select * from list', 'and then none');

-- Whose job it is.
set local role authenticated;
set local request.jwt.claims = '{"sub": "bbbbbbbb-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.delete_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT403', 'not_your_account', 'Ben does not delete for Ada'
);
select throws_ok(
    $$ select public.delete_video_job('bbbbbbbb-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT404', 'job_not_found', 'nor as himself'
);
select throws_ok(
    $$ select public.delete_video_job('bbbbbbbb-0000-4000-8000-000000000001', null) $$,
    'PT400', 'invalid_argument', 'a job is required'
);
set local request.jwt.claims = '';
select throws_ok(
    $$ select public.delete_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    'PT401', 'not_authenticated', 'and an identity'
);
set local role anon;
select throws_ok(
    $$ select public.delete_video_job('aaaaaaaa-0000-4000-8000-000000000001',
       current_setting('story.job')::uuid) $$,
    '42501', null, 'anon may not call it'
);
set local role service_role;
select throws_ok(
    $$ select public.delete_video_job(null, current_setting('story.job')::uuid) $$,
    'PT400', 'invalid_argument', 'the service must name a user'
);
reset role;

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
