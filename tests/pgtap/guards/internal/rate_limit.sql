-- What is left of an allowance, in whole places and whole seconds.
begin;
select plan(4);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local timezone = 'UTC';
set local story.now = '2030-01-15 08:00:00+00';

insert into public.rate_limit_rules (endpoint, requests, period) values
('odd', 7, '1 minute'), ('slow', 1, '1 day');
select is(
    rendio.rate_limit('a', 'odd', 3),
    '{"allowed": true, "limit": 7, "remaining": 4, "retry_after": 0, "reset_after": 26}',
    'a part of a second counts as one'
);
set local story.now = '2030-01-15 08:00:08+00';
select is(
    rendio.rate_limit('a', 'odd', 6),
    '{"allowed": false, "limit": 7, "remaining": 4, "retry_after": 10, "reset_after": 18}',
    'a part of a place does not'
);
select is(rendio.rate_limit('a', 'slow', 1) ->> 'reset_after', '86400', 'once a day');
select is(rendio.rate_limit('a', 'slow', 1) ->> 'retry_after', '86400', 'is once a day');

select * from finish();
rollback;
