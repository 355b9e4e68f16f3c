-- A step that a job's state does not allow, and the state.
begin;
select plan(3);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform set_config('story.job', public.generate_video_atomic(
        'aaaaaaaa-0000-4000-8000-000000000001', '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid()) ->> 'job_id', true);
end $$;

select throws_ok(
    $$ select rendio.raise_invalid_transition(j, 'Wait.') from public.video_jobs as j
       where job_id = current_setting('story.job')::uuid $$,
    'PT409', 'invalid_transition', 'it raises'
);
do $$
declare
    v_detail text;
    v_hint text;
begin
    perform rendio.raise_invalid_transition(j, 'Wait.') from public.video_jobs as j
    where job_id = current_setting('story.job')::uuid;
exception
    when sqlstate 'PT409' then
        get stacked diagnostics v_detail = pg_exception_detail, v_hint = pg_exception_hint;
        perform set_config('story.detail', v_detail, true), set_config('story.hint', v_hint, true);
end $$;
select is(
    current_setting('story.detail')::jsonb,
    jsonb_build_object('job_id', current_setting('story.job'), 'status', 'pending', 'attempt', 0),
    'the detail says how the job is'
);
select is(current_setting('story.hint'), 'Wait.', 'the hint what to do');

select * from finish();
rollback;
