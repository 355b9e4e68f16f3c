-- Who has not called for a while is forgotten.
begin;
select plan(5);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local timezone = 'UTC';
set local story.now = '2030-01-15 08:00:00+00';

insert into public.rate_limits (subject, endpoint, full_at)
select 'subject:' || n, 'general', timestamptz '2030-01-15 08:00:00+00' + (n - 3) * interval '1 us'
from generate_series(1, 5) as n;
select is(rendio.cleanup_rate_limits(2), 2::bigint, 'so many at a time');
select is(rendio.cleanup_rate_limits(), 1::bigint, 'then the rest');
select is(rendio.cleanup_rate_limits(), 0::bigint, 'then nobody');
select results_eq(
    $$ select subject from public.rate_limits order by 1 $$, $$ values ('subject:4'), ('subject:5') $$,
    'whose allowance is not back yet stays'
);
set local role authenticated;
select throws_ok(
    $$ select rendio.cleanup_rate_limits() $$, '42501', null, 'a client forgets nobody'
);
reset role;

select * from finish();
rollback;
