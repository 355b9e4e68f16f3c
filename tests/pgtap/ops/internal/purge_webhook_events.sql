-- Records of webhooks go after 90 days, in batches.
begin;
select plan(3);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-04-01 12:00:00+00'; end;
delete from public.webhook_events;
insert into public.webhook_events (source, event_id, subject, kind, received_at)
select 'fal', n::text, 's', 'completed', timestamptz '2030-01-01 11:59:59.999999+00'
from generate_series(1, 5) as n;
insert into public.webhook_events (source, event_id, subject, kind, received_at) values
('fal', '90 days', 's', 'completed', '2030-01-01 12:00:00+00'),
('fal', 'today', 's', 'completed', '2030-04-01 12:00:00+00');

select is(rendio.purge_webhook_events(2), 2::bigint, 'a batch is no larger than asked');
select is(rendio.purge_webhook_events(), 3::bigint, 'the rest goes with the next run');
select results_eq(
    $$ select event_id from public.webhook_events order by 1 $$,
    $$ values ('90 days'), ('today') $$, 'what is no older than 90 days stays'
);

select * from finish();
rollback;
