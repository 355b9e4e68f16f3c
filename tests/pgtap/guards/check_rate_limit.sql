-- How often somebody may call: as often at once as the rule says, then at its pace.
begin;
select plan(41);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local timezone = 'UTC';
set local story.now = '2030-01-15 08:00:00+00';

create function pg_temp.ada(p_endpoint text, p_cost integer default 1) returns jsonb
language sql volatile as $$
    select public.check_rate_limit('aaaaaaaa-0000-4000-8000-000000000001', p_endpoint, p_cost);
$$;
-- How many of so many calls are allowed, one after the other at one moment.
create function pg_temp.allowed(p_calls integer, p_endpoint text) returns bigint
language sql volatile as $$
    select count(*) filter (where (pg_temp.ada(p_endpoint) ->> 'allowed')::boolean)
    from generate_series(1, p_calls);
$$;

set local role service_role;
select is(
    pg_temp.ada('generate'),
    '{"allowed": true, "limit": 10, "remaining": 9, "retry_after": 0, "reset_after": 6}',
    'the first of ten a minute'
);
select is(pg_temp.allowed(12, 'generate'), 9::bigint, 'nine more at once');
select is(
    pg_temp.ada('generate'),
    '{"allowed": false, "limit": 10, "remaining": 0, "retry_after": 6, "reset_after": 60}',
    'then none for six seconds'
);
set local story.now = '2030-01-15 08:00:05.999999+00';
select is(
    pg_temp.ada('generate') - array['reset_after', 'remaining'],
    '{"allowed": false, "limit": 10, "retry_after": 1}', 'a microsecond too early'
);
set local story.now = '2030-01-15 08:00:06+00';
select is(
    pg_temp.ada('generate'),
    '{"allowed": true, "limit": 10, "remaining": 0, "retry_after": 0, "reset_after": 60}',
    'one place has come back'
);
select is(pg_temp.ada('generate') ->> 'allowed', 'false', 'but one');
set local story.now = '2030-01-15 08:00:36+00';
select is(pg_temp.allowed(10, 'generate'), 5::bigint, 'half a minute brings half of them');
set local story.now = '2030-01-15 09:00:00+00';
select is(pg_temp.allowed(30, 'generate'), 10::bigint, 'an hour no more than all');

-- Clocks that go back take nothing away and give nothing.
set local story.now = '2030-01-15 08:59:00+00';
select is(pg_temp.ada('generate') ->> 'allowed', 'false', 'a clock that goes back opens no door');
select is(
    pg_temp.ada('generate') ->> 'retry_after', '66', 'it says how long by that clock'
);
set local story.now = '2030-01-15 10:00:00+00';

-- Costs.
select is(
    pg_temp.ada('uploads', 15),
    '{"allowed": true, "limit": 20, "remaining": 5, "retry_after": 0, "reset_after": 45}',
    'a call may take many places'
);
select is(
    pg_temp.ada('uploads', 6) - 'reset_after',
    '{"allowed": false, "limit": 20, "remaining": 5, "retry_after": 3}', 'if there are as many'
);
select is(pg_temp.ada('uploads', 5) ->> 'allowed', 'true', 'a smaller one still fits');
select is(
    public.check_rate_limit('bbbbbbbb-0000-4000-8000-000000000001', 'uploads', 21) ->> 'allowed',
    'false', 'more than the rule has is never allowed'
);

-- Each endpoint, user and address counts for itself.
select is(pg_temp.ada('analysis') ->> 'limit', '100', 'each endpoint has its rule');
select is(pg_temp.ada('general') ->> 'remaining', '199', 'and its count');
select is(
    pg_temp.ada('something_else') ->> 'remaining', '198', 'one without a rule counts as general'
);
select is(
    public.check_rate_limit('bbbbbbbb-0000-4000-8000-000000000001', 'general') ->> 'remaining',
    '199', 'Ben has a count of his own'
);
select is(
    public.check_rate_limit(null, 'general', 1, address) ->> 'remaining', remaining, what
)
from (values
    (1, '203.0.113.7', '199', 'so has an address'),
    (2, '203.0.113.7', '198', 'which is remembered'),
    (3, '2001:db8::7', '199', 'and is not another'),
    (4, 'aaaaaaaa-0000-4000-8000-000000000001', '199', 'nor a user')
) as t (n, address, remaining, what);
select is(
    public.check_rate_limit('aaaaaaaa-0000-4000-8000-000000000001', 'general', 1, '203.0.113.7')
    ->> 'remaining',
    '197', 'whoever has both counts as a user'
);

-- What an operator changes holds for the next call.
reset role;
update public.rate_limit_rules set requests = 300, period = '1 hour' where endpoint = 'general';
select is(
    public.check_rate_limit('cccccccc-0000-4000-8000-000000000001', 'general'),
    '{"allowed": true, "limit": 300, "remaining": 299, "retry_after": 0, "reset_after": 12}',
    'a rule is a row'
);
update public.app_settings set value = 'false' where key = 'rate_limits';
select is(
    pg_temp.ada('generate', 1000000),
    '{"allowed": true, "limit": null, "remaining": null, "retry_after": 0, "reset_after": 0}',
    'all of them are switched off by a setting'
);
update public.app_settings set value = 'true' where key = 'rate_limits';
delete from public.rate_limit_rules where endpoint = 'general';
select is(pg_temp.ada('something_else') ->> 'limit', null, 'without rules nothing is limited');

-- Limits.
select throws_ok(
    format('select public.check_rate_limit(%L, %L, %L, %L)', user_id, endpoint, cost, subject),
    code, slug, what
)
from (values
    ('nobody', null, 'general', 1, null, 'PT400', 'invalid_argument'),
    ('an empty address', null, 'general', 1, '', 'PT400', 'invalid_argument'),
    ('an address of 256 characters', null, 'general', 1, repeat('x', 256), 'PT413',
     'payload_too_large'),
    ('no endpoint', 'aaaaaaaa-0000-4000-8000-000000000001', null, 1, null, 'PT400',
     'invalid_argument'),
    ('an empty endpoint', 'aaaaaaaa-0000-4000-8000-000000000001', '', 1, null, 'PT400',
     'invalid_argument'),
    ('an endpoint of 256 characters', 'aaaaaaaa-0000-4000-8000-000000000001', repeat('x', 256), 1,
     null, 'PT413', 'payload_too_large'),
    ('a call for nothing', 'aaaaaaaa-0000-4000-8000-000000000001', 'general', 0, null, 'PT400',
     'invalid_argument'),
    ('less than nothing', 'aaaaaaaa-0000-4000-8000-000000000001', 'general', -1, null, 'PT400',
     'invalid_argument'),
    ('no cost', 'aaaaaaaa-0000-4000-8000-000000000001', 'general', null, null, 'PT400',
     'invalid_argument'),
    ('a million and one', 'aaaaaaaa-0000-4000-8000-000000000001', 'general', 1000001, null,
     'PT400', 'invalid_argument')
) as t (what, user_id, endpoint, cost, subject, code, slug);
select lives_ok(
    $$ select public.check_rate_limit(null, 'generate', 1, repeat('ü', 255)) $$,
    'an address may have 255 characters'
);

-- Only the service knows who called.
set local role anon;
select throws_ok($$ select pg_temp.ada('general') $$, '42501', null, 'anon counts nobody');
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok($$ select pg_temp.ada('general') $$, '42501', null, 'nor does Ada herself');
reset role;
grant execute on function public.check_rate_limit to authenticated;
set local role authenticated;
select throws_ok(
    $$ select pg_temp.ada('general') $$, 'PT403', 'service_only', 'not even with the grant'
);
select throws_ok(
    $$ update public.rate_limits set full_at = '-infinity' $$, '42501', null,
    'nor sets her count back'
);
reset role;

select * from finish();
rollback;
