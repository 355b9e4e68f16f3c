-- What is told of a job, and to whom. That NOTIFY arrives, and when, only a second session can see.
begin;
select plan(11);

-- Where there is no Realtime, one of its shape.
do $$ begin
    if to_regnamespace('realtime') is null then
        if to_regrole('supabase_realtime_admin') is null then
            create role supabase_realtime_admin;
            execute format('grant supabase_realtime_admin to %I', current_user);
        end if;
        create schema realtime;
        grant usage on schema realtime to rendio_owner;
        grant usage, create on schema realtime to supabase_realtime_admin;
        create table realtime.messages (payload jsonb, event text, topic text, private boolean);
        grant insert on realtime.messages to rendio_owner;
        create function realtime.send(jsonb, text, text, boolean) returns void language sql
        as 'insert into realtime.messages values ($1, $2, $3, $4)';
        execute format('grant select, delete on realtime.messages to %I', current_user);
        alter function realtime.send(jsonb, text, text, boolean) owner to supabase_realtime_admin;
        alter table realtime.messages owner to supabase_realtime_admin;
    end if;
end $$;
-- How many broadcasts there are since the last time of asking.
create function pg_temp.sent() returns bigint language plpgsql as $$
declare
    v_all bigint := (select count(*) from realtime.messages);
    v_before bigint := coalesce(nullif(current_setting('story.sent', true), ''), '0');
begin
    perform set_config('story.sent', v_all::text, true);
    return v_all - v_before;
end $$;
create function pg_temp.announce(p_way text) returns bigint language plpgsql as $$
begin
    update public.app_settings set value = to_jsonb(p_way) where key = 'job_notifications';
    set local role rendio_owner;
    perform rendio.announce_job('aaaaaaaa-0000-4000-8000-000000000001',
        'dddddddd-0000-4000-8000-000000000001', 'processing');
    reset role;
    return pg_temp.sent();
end $$;
do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform pg_temp.sent();
end $$;

select is(pg_temp.announce('both'), 1::bigint, '"both" broadcasts');
select is(
    (select array_agg((payload - 'id', event, topic, private)::text) from realtime.messages
     where payload ->> 'job_id' = 'dddddddd-0000-4000-8000-000000000001'),
    array[(jsonb_build_object('user_id', 'aaaaaaaa-0000-4000-8000-000000000001',
        'job_id', 'dddddddd-0000-4000-8000-000000000001', 'status', 'processing'),
        'job_status', 'jobs:aaaaaaaa-0000-4000-8000-000000000001', true)::text],
    'ids and a status, in private, to the user'
);
select is(pg_temp.announce('broadcast'), 1::bigint, '"broadcast" does');
select is(pg_temp.announce('notify'), 0::bigint, '"notify" does not');
select is(pg_temp.announce('off'), 0::bigint, 'nor does "off"');
update public.app_settings set value = '"both"' where key = 'job_notifications';

-- A guest's job is told to the account that the guest became.
do $$ begin
    perform public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000001', 'ada-sub');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'bea-phone');
    perform set_config('story.job', public.generate_video_atomic(
        'bbbbbbbb-0000-4000-8000-000000000001', '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid()) ->> 'job_id', true);
    perform public.link_apple_account('bbbbbbbb-0000-4000-8000-000000000001', 'ada-sub');
end $$;
select is(pg_temp.sent(), 0::bigint, 'asking for a video tells nobody');
do $$ begin
    perform public.claim_video_jobs('north');
end $$;
select is(pg_temp.sent(), 0::bigint, 'a claim is no change of status');
do $$ begin
    perform public.start_video_job('bbbbbbbb-0000-4000-8000-000000000001',
        current_setting('story.job')::uuid, 'fal-1') from generate_series(1, 2);
end $$;
select is(pg_temp.sent(), 1::bigint, 'a start is told once, however often it is repeated');
do $$ begin
    perform public.complete_video_job('fal', 'fal-1', 'https://v.test/1') from generate_series(1, 2);
    perform public.fail_video_job('fal', 'fal-1', 'too late');
end $$;
select is(pg_temp.sent(), 1::bigint, 'and so is the end');
select results_eq(
    $$ select topic, payload ->> 'user_id', string_agg(payload ->> 'status', ' '
           order by payload ->> 'status' desc)
       from realtime.messages where payload ->> 'job_id' = current_setting('story.job')
       group by 1, 2 $$,
    $$ values ('jobs:aaaaaaaa-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001',
       'processing completed') $$,
    'to the account'
);
-- A failure, by whoever.
do $$
declare
    v_job uuid := public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', null, gen_random_uuid()) ->> 'job_id';
begin
    perform public.refund_video_job('aaaaaaaa-0000-4000-8000-000000000001', v_job)
    from generate_series(1, 2);
end $$;
select is(pg_temp.sent(), 1::bigint, 'a failed job is told once too');

select * from finish();
rollback;
