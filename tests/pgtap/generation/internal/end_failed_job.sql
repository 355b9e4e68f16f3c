-- The only way a job fails, and the only time its credits go back.
begin;
select plan(4);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform set_config('story.job', public.generate_video_atomic(
        'aaaaaaaa-0000-4000-8000-000000000001', '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid()) ->> 'job_id', true);
    perform public.claim_video_jobs('north');
end $$;
-- What a caller that forgot to look would do: end the same job twice, from what it read before.
create function pg_temp.end_twice() returns text language plpgsql as $$
declare
    v_job public.video_jobs;
begin
    select * into v_job from public.video_jobs where job_id = current_setting('story.job')::uuid;
    perform rendio.end_failed_job(v_job, 'provider_error', repeat('x', 3000), rendio.clock());
    begin
        perform rendio.end_failed_job(v_job, 'timed_out', null, rendio.clock());
    exception
        when sqlstate 'PT409' then
            return sqlerrm;
    end;
    return 'paid twice';
end $$;

select is(
    pg_temp.end_twice(), 'invalid_transition', 'a job ends once by construction'
);
select results_eq(
    $$ select status::text, error_code::text, length(error_message::text),
           credits_refunded::integer, completed_at is not null, lease_owner, lease_expires_at
       from public.video_jobs where job_id = current_setting('story.job')::uuid $$,
    $$ values ('failed', 'provider_error', 2000, 4, true, null::text, null::timestamptz) $$,
    'it keeps its reason, a cut message and no lease'
);
select is(
    (select count(*)::integer from public.quota_log
     where job_id = current_setting('story.job')::uuid and change > 0),
    1, 'one refund is in the ledger'
);
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
