-- What a webhook speaks of, held until the transaction ends.
begin;
select plan(7);

insert into public.provider_jobs (provider, provider_job_id, user_id, job_id, attempt, created_at)
values ('fal', 'fal-1', 'aaaaaaaa-0000-4000-8000-000000000001',
    'dddddddd-0000-4000-8000-000000000001', 1, '2030-01-15 08:00+00');

select is(
    (rendio.lock_submission('fal', 'fal-1', null)).job_id, 'dddddddd-0000-4000-8000-000000000001',
    'the submission comes back whole'
);
select isnt(
    (select xmax::text from public.provider_jobs where provider_job_id = 'fal-1'), '0',
    'and is locked'
);
select throws_ok(
    $$ select rendio.lock_submission('runway', 'fal-1', 'event') $$,
    'PT404', 'job_not_found', 'each provider has its own ids'
);
select throws_ok(
    format($$ select rendio.lock_submission(%L, %L, %L) $$, provider, provider_job_id, event_id),
    code, slug, what
)
from (values
    ('no provider', null, 'fal-1', null, 'PT400', 'invalid_argument'),
    ('no id', 'fal', null, null, 'PT400', 'invalid_argument'),
    ('an empty event', 'fal', 'fal-1', '', 'PT400', 'invalid_argument'),
    ('a long event', 'fal', 'fal-1', repeat('x', 256), 'PT413', 'payload_too_large')
) as t (what, provider, provider_job_id, event_id, code, slug);

select * from finish();
rollback;
