-- Credits that a job still holds although the sweeper should have given them back.
begin;
select plan(4);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select '2030-01-15 12:00:00+00'::timestamptz; end;

insert into public.users (id) values
('aaaaaaaa-0000-4000-8000-000000000001'),
('bbbbbbbb-0000-4000-8000-000000000001');
insert into public.video_jobs
    (user_id, job_id, model_id, created_at, times_out_at, credits_used, status, provider, prompt)
select user_id::uuid, gen_random_uuid(), gen_random_uuid(), '2030-01-15', times_out_at::timestamptz,
    credits, status::rendio.job_status, 'fal', 'A boat.'
from (values
    ('aaaaaaaa-0000-4000-8000-000000000001', 'pending', '2030-01-15 11:50:00+00', 4),
    ('aaaaaaaa-0000-4000-8000-000000000001', 'processing', '2030-01-15 12:30:00+00', 4),
    ('aaaaaaaa-0000-4000-8000-000000000001', 'completed', '2030-01-15 10:00:00+00', 4),
    ('aaaaaaaa-0000-4000-8000-000000000001', 'failed', '2030-01-15 10:00:00+00', 4),
    ('bbbbbbbb-0000-4000-8000-000000000001', 'pending', '2030-01-15 11:49:59+00', 5),
    ('bbbbbbbb-0000-4000-8000-000000000001', 'processing', '2030-01-15 11:00:00+00', 6)
) as j (user_id, status, times_out_at, credits);

select is_empty(
    $$ select * from rendio.reconcile_holds(
       'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001') $$,
    'a hold may be as late as the sweeper, and what has ended holds nothing'
);
select set_eq(
    $$ select * from rendio.reconcile_holds(
       'bbbbbbbb-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ values
       ('bbbbbbbb-0000-4000-8000-000000000001'::uuid, 'hold_older_than_sweep', 0::bigint,
        5::bigint),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'hold_older_than_sweep', 0, 6) $$,
    'each older one is told with its credits, handed out or not'
);
select results_eq(
    $$ select count(*) from rendio.reconcile_holds(
       'aaaaaaaa-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ values (2::bigint) $$,
    'who is at either end is among them'
);
select is(
    (
        select c.ok
        from rendio.health() as c
        where c.name = 'stuck jobs swept' and c.detail like '2 overdue%'
    ),
    false, 'and the health of the database says the same'
);

select * from finish();
rollback;
