-- A failed job keeps nothing, an open one has given nothing back.
begin;
select plan(3);

insert into public.users (id) values
('aaaaaaaa-0000-4000-8000-000000000001'),
('bbbbbbbb-0000-4000-8000-000000000001');
create temp table jobs (
    user_id uuid, status rendio.job_status, given_back integer, is_archived boolean
);
insert into jobs values
('aaaaaaaa-0000-4000-8000-000000000001', 'pending', 0, false),
('aaaaaaaa-0000-4000-8000-000000000001', 'processing', 0, false),
('aaaaaaaa-0000-4000-8000-000000000001', 'failed', 4, false),
('aaaaaaaa-0000-4000-8000-000000000001', 'failed', 4, true),
('aaaaaaaa-0000-4000-8000-000000000001', 'completed', 0, false),
('aaaaaaaa-0000-4000-8000-000000000001', 'completed', 3, true),
('bbbbbbbb-0000-4000-8000-000000000001', 'pending', 1, false),
('bbbbbbbb-0000-4000-8000-000000000001', 'processing', 4, false),
('bbbbbbbb-0000-4000-8000-000000000001', 'failed', 3, false),
('bbbbbbbb-0000-4000-8000-000000000001', 'failed', 0, true);
insert into public.video_jobs
    (user_id, job_id, model_id, created_at, times_out_at, credits_used, credits_refunded, status,
     provider, prompt)
select user_id, gen_random_uuid(), gen_random_uuid(), now(), now(), 4, given_back, status, 'fal',
    'A boat.'
from jobs;
with moved as (
    delete from public.video_jobs as v
    using jobs as j
    where v.user_id = j.user_id and v.status = j.status and v.credits_refunded = j.given_back
        and j.is_archived
    returning v.*
)
insert into public.video_jobs_archive select * from moved;

select is_empty(
    $$ select * from rendio.reconcile_job_status(
       'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001') $$,
    'a completed job may give back a part'
);
select set_eq(
    $$ select * from rendio.reconcile_job_status(
       'bbbbbbbb-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ values
       ('bbbbbbbb-0000-4000-8000-000000000001'::uuid, 'job_refund_differs_from_status',
        0::bigint, 1::bigint),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'job_refund_differs_from_status', 0, 4),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'job_refund_differs_from_status', 4, 3),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'job_refund_differs_from_status', 4, 0) $$,
    'open ones that gave some back, failed ones that kept some'
);
select results_eq(
    $$ select count(*) from rendio.reconcile_job_status(
       'aaaaaaaa-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ values (4::bigint) $$,
    'who is at either end is among them'
);

select * from finish();
rollback;
