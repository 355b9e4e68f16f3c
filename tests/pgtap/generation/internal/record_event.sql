-- A webhook is on record once; one without an id is not.
begin;
select plan(1);

do $$ begin
    perform rendio.record_event('fal', 'event-1', 'fal-1', 'completed', '2030-01-15 08:00+00');
    perform rendio.record_event('fal', 'event-1', 'fal-1', 'failed', '2030-01-15 08:01+00');
    perform rendio.record_event('runway', 'event-1', 'r-1', 'failed', '2030-01-15 08:02+00');
    perform rendio.record_event('fal', null, 'fal-1', 'completed', '2030-01-15 08:03+00');
end $$;
select results_eq(
    $$ select source, event_id, subject, kind, received_at from public.webhook_events
       order by source $$,
    $$ values
       ('fal', 'event-1', 'fal-1', 'completed', timestamptz '2030-01-15 08:00+00'),
       ('runway', 'event-1', 'r-1', 'failed', '2030-01-15 08:02+00') $$,
    'the first report of each sender''s event is kept'
);

select * from finish();
rollback;
