-- A job as clients see it: these keys, and no lease, attempt or provider.
begin;
select plan(2);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform set_config('story.job', public.generate_video_atomic(
        'aaaaaaaa-0000-4000-8000-000000000001', '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid()) ->> 'job_id', true);
end $$;

select set_eq(
    $$ select k from public.video_jobs as j, jsonb_object_keys(rendio.job_json(j, 'Veo 3.1')) as k
       where j.job_id = current_setting('story.job')::uuid $$,
    array['job_id', 'model_id', 'model_name', 'prompt', 'settings', 'status', 'error_code',
        'error_message', 'video_url', 'thumbnail_url', 'credits_used', 'credits_refunded',
        'created_at', 'completed_at'],
    'the keys of a job'
);
select is(
    (select rendio.job_json(j, 'Veo 3.1') ->> 'model_name' from public.video_jobs as j
     where j.job_id = current_setting('story.job')::uuid),
    'Veo 3.1', 'with the model''s name'
);

select * from finish();
rollback;
