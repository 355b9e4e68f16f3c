-- What PostgREST calls before it serves a request.
begin;
select plan(17);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local timezone = 'UTC';
set local story.now = '2030-01-15 08:00:00+00';

create function pg_temp.requests(p_count integer, p_path text) returns integer language plpgsql as $$
declare
    v_served integer := 0;
begin
    perform set_config('request.path', p_path, true);
    for n in 1..p_count loop
        perform public.check_request();
        v_served := v_served + 1;
    end loop;
    return v_served;
exception
    when sqlstate 'PGRST' then return v_served;
end $$;
update public.rate_limit_rules set requests = 3 where endpoint = 'generate';
update public.rate_limit_rules set requests = 5 where endpoint = 'general';

set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is(pg_temp.requests(3, '/rpc/generate_video_atomic'), 3, 'Ada generates as often as allowed');
select is(pg_temp.requests(4, '/rpc/get_user_credits'), 4, 'and asks, which counts for itself');
set local request.path = '/rest/v1/rpc/generate_video_atomic';
do $$
declare
    v_message text;
    v_detail text;
begin
    perform public.check_request();
exception
    when sqlstate 'PGRST' then
        get stacked diagnostics v_message = message_text, v_detail = pg_exception_detail;
        perform set_config('story.message', v_message, true);
        perform set_config('story.detail', v_detail, true);
end $$;
select is(
    current_setting('story.message')::jsonb - 'hint',
    jsonb_build_object(
        'code', 'PT429', 'message', 'rate_limited',
        'details', '{"limit": 3, "remaining": 0, "reset_after": 60, "retry_after": 20}'
    ),
    'then she has to wait'
);
select is(
    current_setting('story.detail')::jsonb,
    '{"status": 429, "headers": {"RateLimit-Limit": "3", "RateLimit-Remaining": "0",
      "RateLimit-Reset": "60", "Retry-After": "20"}}',
    'and is told how long'
);
set local request.jwt.claims = '{"sub": "bbbbbbbb-0000-4000-8000-000000000001"}';
select is(pg_temp.requests(1, '/rpc/generate_video_atomic'), 1, 'Ben does not');
select is(
    current_setting('response.headers')::jsonb,
    '[{"RateLimit-Limit": "3"}, {"RateLimit-Reset": "20"}, {"RateLimit-Remaining": "2"}]',
    'and is told what is left'
);

set local request.jwt.claims = '{"sub": "cccccccc-0000-4000-8000-000000000001"}';
select is(
    pg_temp.requests(4, '/rpc/generate%5Fvideo_atomic'), 3,
    'a name in another writing is counted as the dearest'
);
set local request.jwt.claims = '{"sub": "dddddddd-0000-4000-8000-000000000001"}';
select is(
    pg_temp.requests(4, '/%72pc/generate_video_atomic'), 3, 'wherever in the path it is written so'
);

-- Without a user, by address.
set local role anon;
set local request.jwt.claims = '{"role": "anon"}';
set local request.headers = '{"x-forwarded-for": "203.0.113.7"}';
do $$ begin
    for n in 1..5 loop
        perform set_config('request.path', '/rpc/get_models', true);
        perform public.check_request();
    end loop;
end $$;
select throws_ok(
    $$ select public.check_request() $$, 'PGRST', null, 'nobody in particular is counted'
);
set local request.headers = '{"x-forwarded-for": "203.0.113.8"}';
select lives_ok($$ select public.check_request() $$, 'by address');
set local request.headers = '{"x-forwarded-for": "203.0.113.8, 203.0.113.7"}';
select throws_ok(
    $$ select public.check_request() $$, 'PGRST', null,
    'which a client does not choose by writing a header of its own'
);
set local request.headers = '';
select lives_ok($$ select public.check_request() $$, 'a request without headers is served');

-- What is not counted.
set local role service_role;
select is(pg_temp.requests(300, '/rpc/generate_video_atomic'), 300, 'the service counts for itself');
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
reset role;
update public.app_settings set value = 'false' where key = 'rate_limits';
set local role authenticated;
set local response.headers = '';
select is(pg_temp.requests(300, '/rpc/generate_video_atomic'), 300, 'switched off, nobody is');
select is(current_setting('response.headers'), '', 'or told anything');
reset role;
update public.app_settings set value = 'true' where key = 'rate_limits';
set local role authenticated;
set local request.path = '/rpc/generate_video_atomic';
select throws_ok($$ select public.check_request() $$, 'PGRST', null, 'on again, they are');
set local transaction_read_only = on;
select lives_ok($$ select public.check_request() $$, 'but not where nothing may be written');

select * from finish();
rollback;
