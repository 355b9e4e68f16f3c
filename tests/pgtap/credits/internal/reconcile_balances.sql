-- Balances, totals and numbers beside the sums of the ledger.
begin;
select plan(5);

-- Ada's are right, a refund included, and so are Dan's, who has nothing yet. Ben's are not. Cleo
-- has a ledger and no account, Eve an account that says more than no ledger.
insert into public.users (id, credits_remaining, credits_total, ledger_seq) values
('aaaaaaaa-0000-4000-8000-000000000001', 10, 10, 3),
('bbbbbbbb-0000-4000-8000-000000000001', 8, 11, 3),
('dddddddd-0000-4000-8000-000000000001', 0, 0, 0),
('eeeeeeee-0000-4000-8000-000000000001', 7, 6, 1);
insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason) values
('aaaaaaaa-0000-4000-8000-000000000001', 1, now(), 10, 10, 'promo_grant'),
('aaaaaaaa-0000-4000-8000-000000000001', 2, now(), 6, -4, 'video_generation'),
('aaaaaaaa-0000-4000-8000-000000000001', 3, now(), 10, 4, 'generation_failed_refund'),
('bbbbbbbb-0000-4000-8000-000000000001', 1, now(), 10, 10, 'promo_grant'),
('bbbbbbbb-0000-4000-8000-000000000001', 2, now(), 9, -1, 'admin_adjustment'),
('cccccccc-0000-4000-8000-000000000001', 1, now(), 5, 5, 'promo_grant');

select is_empty(
    $$ select * from rendio.reconcile_balances(
       'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001') $$,
    'who has what the ledger says is not told'
);
select set_eq(
    $$ select * from rendio.reconcile_balances(
       'bbbbbbbb-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ values
       ('bbbbbbbb-0000-4000-8000-000000000001'::uuid, 'balance_differs_from_ledger', 9::bigint,
        8::bigint),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'credits_total_differs_from_ledger', 10, 11),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'ledger_seq_differs_from_ledger', 2, 3) $$,
    'balance, total and number are compared each'
);
select set_eq(
    $$ select * from rendio.reconcile_balances(
       'cccccccc-0000-4000-8000-000000000001', 'dddddddd-0000-4000-8000-000000000001') $$,
    $$ values
       ('cccccccc-0000-4000-8000-000000000001'::uuid, 'ledger_without_account', null::bigint,
        5::bigint) $$,
    'a ledger needs an account, an account no ledger'
);
select set_eq(
    $$ select * from rendio.reconcile_balances(
       'dddddddd-0000-4000-8000-000000000001', 'eeeeeeee-0000-4000-8000-000000000001') $$,
    $$ values
       ('eeeeeeee-0000-4000-8000-000000000001'::uuid, 'balance_differs_from_ledger', 0::bigint,
        7::bigint),
       ('eeeeeeee-0000-4000-8000-000000000001', 'credits_total_differs_from_ledger', 0, 6),
       ('eeeeeeee-0000-4000-8000-000000000001', 'ledger_seq_differs_from_ledger', 0, 1) $$,
    'without a ledger there is nothing to have'
);
select results_eq(
    $$ select count(*) from rendio.reconcile_balances(
       'aaaaaaaa-0000-4000-8000-000000000001', 'eeeeeeee-0000-4000-8000-000000000001') $$,
    $$ values (7::bigint) $$,
    'who is at either end is among them'
);

select * from finish();
rollback;
