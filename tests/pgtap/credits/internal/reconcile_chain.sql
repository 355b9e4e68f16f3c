-- Each entry follows from the one before it.
begin;
select plan(5);

insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason) values
('aaaaaaaa-0000-4000-8000-000000000001', 1, '2030-01-01', 10, 10, 'promo_grant'),
('aaaaaaaa-0000-4000-8000-000000000001', 2, '2030-01-01', 9, -1, 'admin_adjustment'),
('aaaaaaaa-0000-4000-8000-000000000001', 3, '2030-02-01', 4, -5, 'admin_adjustment'),
-- Ben's first is gone, and so are his fourth and fifth.
('bbbbbbbb-0000-4000-8000-000000000001', 2, '2030-01-01', 9, 9, 'promo_grant'),
('bbbbbbbb-0000-4000-8000-000000000001', 3, '2030-01-02', 8, -1, 'admin_adjustment'),
('bbbbbbbb-0000-4000-8000-000000000001', 6, '2030-01-03', 7, -1, 'admin_adjustment'),
-- One of Cleo's left more than it could.
('cccccccc-0000-4000-8000-000000000001', 1, '2030-01-01', 10, 10, 'promo_grant'),
('cccccccc-0000-4000-8000-000000000001', 2, '2030-01-02', 12, -1, 'admin_adjustment'),
('cccccccc-0000-4000-8000-000000000001', 3, '2030-01-03', 11, -1, 'admin_adjustment'),
-- One of Dan's is dated before the one it follows.
('dddddddd-0000-4000-8000-000000000001', 1, '2030-01-02', 10, 10, 'promo_grant'),
('dddddddd-0000-4000-8000-000000000001', 2, '2030-01-01', 9, -1, 'admin_adjustment');

select is_empty(
    $$ select * from rendio.reconcile_chain(
       'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001') $$,
    'what follows is not told, not even at one time'
);
select set_eq(
    $$ select * from rendio.reconcile_chain(
       'bbbbbbbb-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ values
       ('bbbbbbbb-0000-4000-8000-000000000001'::uuid, 'ledger_entry_missing', 1::bigint,
        2::bigint),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'ledger_entry_missing', 4, 6) $$,
    'numbers that are left out are told by the ends of each gap'
);
select set_eq(
    $$ select * from rendio.reconcile_chain(
       'cccccccc-0000-4000-8000-000000000001', 'cccccccc-0000-4000-8000-000000000001') $$,
    $$ values
       ('cccccccc-0000-4000-8000-000000000001'::uuid, 'balance_after_differs_from_chain',
        9::bigint, 12::bigint) $$,
    'a balance is the one before it and the change'
);
select set_eq(
    $$ select * from rendio.reconcile_chain(
       'dddddddd-0000-4000-8000-000000000001', 'dddddddd-0000-4000-8000-000000000001') $$,
    $$ values
       ('dddddddd-0000-4000-8000-000000000001'::uuid, 'ledger_time_runs_backwards', 1::bigint,
        2::bigint) $$,
    'no entry is older than the one before it'
);
select results_eq(
    $$ select count(*) from rendio.reconcile_chain(
       'bbbbbbbb-0000-4000-8000-000000000001', 'dddddddd-0000-4000-8000-000000000001') $$,
    $$ values (4::bigint) $$,
    'each ledger is a chain of its own'
);

select * from finish();
rollback;
