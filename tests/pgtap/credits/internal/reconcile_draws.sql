-- What an open job drew from the lots is what it holds.
begin;
select plan(3);

-- Of two jobs one gave a credit back. Ada's draws say so; Ben's say more of one, and the other is
-- not accounted for yet; Cleo's are of a job that never was.
insert into public.users (id, lots_seq) values
('aaaaaaaa-0000-4000-8000-000000000001', 3),
('bbbbbbbb-0000-4000-8000-000000000001', 1),
('cccccccc-0000-4000-8000-000000000001', 3);
insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason, job_id)
select u.id, e.seq, now(), 0, e.change, e.reason::rendio.ledger_reason, e.job_id::uuid
from public.users as u
cross join (values
    (1, -4, 'video_generation', '00000000-0000-7000-8000-000000000001'),
    (2, -7, 'video_generation', '00000000-0000-7000-8000-000000000002'),
    (3, 1, 'partial_refund', '00000000-0000-7000-8000-000000000002')
) as e (seq, change, reason, job_id);
insert into public.credit_draws (user_id, job_id, n, lot_seq, lot_n, credits)
select user_id::uuid, ('00000000-0000-7000-8000-00000000000' || job)::uuid, n, 1, 1, credits
from (values
    ('aaaaaaaa-0000-4000-8000-000000000001', 1, 1, 4),
    ('aaaaaaaa-0000-4000-8000-000000000001', 2, 1, 5),
    ('aaaaaaaa-0000-4000-8000-000000000001', 2, 2, 1),
    ('bbbbbbbb-0000-4000-8000-000000000001', 1, 1, 5),
    ('bbbbbbbb-0000-4000-8000-000000000001', 2, 1, 6),
    ('cccccccc-0000-4000-8000-000000000001', 3, 1, 2)
) as d (user_id, job, n, credits);

select is_empty(
    $$ select * from rendio.reconcile_draws(
       'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001') $$,
    'draws from several lots add up to what the job holds'
);
select set_eq(
    $$ select * from rendio.reconcile_draws(
       'bbbbbbbb-0000-4000-8000-000000000001', 'cccccccc-0000-4000-8000-000000000001') $$,
    $$ values
       ('bbbbbbbb-0000-4000-8000-000000000001'::uuid, 'draws_differ_from_charge', 4::bigint,
        5::bigint),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'draws_differ_from_charge', 0, 6),
       ('cccccccc-0000-4000-8000-000000000001', 'draws_differ_from_charge', 0, 2) $$,
    'a job that could return more than it took, or took nothing as far as the lots know'
);
select results_eq(
    $$ select count(*) from rendio.reconcile_draws(
       'aaaaaaaa-0000-4000-8000-000000000001', 'cccccccc-0000-4000-8000-000000000001') $$,
    $$ values (3::bigint) $$,
    'and nobody else is told'
);

select * from finish();
rollback;
