-- What jobs cost and gave back, beside the entries that name them.
begin;
select plan(6);

insert into public.users (id) values
('aaaaaaaa-0000-4000-8000-000000000001'),
('bbbbbbbb-0000-4000-8000-000000000001'),
('cccccccc-0000-4000-8000-000000000001');
create function pg_temp.job(p_user uuid, p_number integer, p_used integer, p_back integer)
returns public.video_jobs language sql as $$
    select jsonb_populate_record(null::public.video_jobs, jsonb_build_object(
        'user_id', p_user, 'job_id', '00000000-0000-7000-8000-00000000000' || p_number,
        'model_id', gen_random_uuid(), 'created_at', now(), 'times_out_at', now(),
        'credits_used', p_used, 'credits_refunded', p_back, 'attempt', 0, 'status', 'completed',
        'provider', 'fal', 'prompt', 'A boat.', 'settings', '{}'::jsonb));
$$;
create procedure pg_temp.entry(p_user uuid, p_seq integer, p_change integer, p_job integer)
language sql as $$
    insert into public.quota_log
        (user_id, seq, created_at, balance_after, change, reason, job_id)
    values (p_user, p_seq, now(), 0, p_change,
        case
            when p_change < 0 then 'video_generation' else 'partial_refund'
        end::rendio.ledger_reason,
        ('00000000-0000-7000-8000-00000000000' || p_job)::uuid);
$$;

-- Ada's jobs, one in the archive, are in the books; what she bought and lost names no job.
insert into public.video_jobs
select (pg_temp.job('aaaaaaaa-0000-4000-8000-000000000001', 1, 4, 1)).*;
insert into public.video_jobs_archive
select (pg_temp.job('aaaaaaaa-0000-4000-8000-000000000001', 2, 7, 7)).*;
insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason) values
('aaaaaaaa-0000-4000-8000-000000000001', 1, now(), 20, 20, 'iap_purchase'),
('aaaaaaaa-0000-4000-8000-000000000001', 6, now(), 0, -12, 'admin_adjustment');
do $$ begin
    call pg_temp.entry('aaaaaaaa-0000-4000-8000-000000000001', 2, -4, 1);
    call pg_temp.entry('aaaaaaaa-0000-4000-8000-000000000001', 3, 1, 1);
    call pg_temp.entry('aaaaaaaa-0000-4000-8000-000000000001', 4, -7, 2);
    call pg_temp.entry('aaaaaaaa-0000-4000-8000-000000000001', 5, 7, 2);
end $$;
select is_empty(
    $$ select * from rendio.reconcile_jobs(
       'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001') $$,
    'what agrees is not told'
);

-- Ben's: one never charged, one charged too little, a charge of no job, a refund it forgot.
insert into public.video_jobs
select (pg_temp.job('bbbbbbbb-0000-4000-8000-000000000001', n, u, b)).*
from (values (1, 4, 0), (2, 5, 0), (4, 6, 0)) as j (n, u, b);
do $$ begin
    call pg_temp.entry('bbbbbbbb-0000-4000-8000-000000000001', 1, -3, 2);
    call pg_temp.entry('bbbbbbbb-0000-4000-8000-000000000001', 2, -8, 3);
    call pg_temp.entry('bbbbbbbb-0000-4000-8000-000000000001', 3, -6, 4);
    call pg_temp.entry('bbbbbbbb-0000-4000-8000-000000000001', 4, 2, 4);
end $$;
select set_eq(
    $$ select * from rendio.reconcile_jobs(
       'bbbbbbbb-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ values
       ('bbbbbbbb-0000-4000-8000-000000000001'::uuid, 'job_charge_differs_from_ledger',
        0::bigint, 4::bigint),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'job_charge_differs_from_ledger', 3, 5),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'job_charge_differs_from_ledger', 8, 0),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'job_refund_differs_from_ledger', 2, 0) $$,
    'a job without a charge, another charge, a charge without a job, a refund more'
);

-- Cleo's is given back twice, which the job cannot even say.
insert into public.video_jobs
select (pg_temp.job('cccccccc-0000-4000-8000-000000000001', 1, 4, 4)).*;
do $$ begin
    call pg_temp.entry('cccccccc-0000-4000-8000-000000000001', 1, -4, 1);
    call pg_temp.entry('cccccccc-0000-4000-8000-000000000001', 2, 4, 1);
    call pg_temp.entry('cccccccc-0000-4000-8000-000000000001', 3, 4, 1);
end $$;
select set_eq(
    $$ select * from rendio.reconcile_jobs(
       'cccccccc-0000-4000-8000-000000000001', 'cccccccc-0000-4000-8000-000000000001') $$,
    $$ values
       ('cccccccc-0000-4000-8000-000000000001'::uuid, 'refund_exceeds_charge', 4::bigint,
        8::bigint) $$,
    'more is given back than was taken'
);
insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason)
values ('cccccccc-0000-4000-8000-000000000001', 4, now(), 9, 9, 'generation_failed_refund');
select set_eq(
    $$ select expected, actual from rendio.reconcile_jobs(
       'cccccccc-0000-4000-8000-000000000001', 'cccccccc-0000-4000-8000-000000000001') $$,
    $$ values (4::bigint, 8::bigint), (0, 9) $$,
    'a refund that names no job exceeds all charges'
);
insert into public.video_jobs_archive
select (pg_temp.job('aaaaaaaa-0000-4000-8000-000000000001', 1, 4, 1)).*;
select set_eq(
    $$ select problem, expected, actual from rendio.reconcile_jobs(
       'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001') $$,
    $$ values
       ('job_charge_differs_from_ledger', 4::bigint, 8::bigint),
       ('job_refund_differs_from_ledger', 1, 2) $$,
    'a job that is both here and in the archive counts twice'
);
select results_eq(
    $$ select count(*) from rendio.reconcile_jobs(
       'bbbbbbbb-0000-4000-8000-000000000001', 'cccccccc-0000-4000-8000-000000000001') $$,
    $$ values (6::bigint) $$,
    'who is at either end is among them'
);

select * from finish();
rollback;
