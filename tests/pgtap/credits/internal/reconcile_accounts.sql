-- An account's state beside its ledger, its lots and its debts.
begin;
select plan(3);

-- Ada is well: her debt is no block, her next lot ends when she is looked at, and a lot that is
-- empty ends unseen.
insert into public.users (
    id, created_at, ledger_at, ledger_seq, next_expiry_at, credits_remaining, merged_into,
    deleted_at, is_blocked
) values
('aaaaaaaa-0000-4000-8000-000000000001', '2030-01-01', '2030-01-02', 2, '2030-02-01', 9, null,
 null, false),
('aaaaaaaa-0000-4000-8000-000000000002', '2030-01-01', '2030-01-02', 0, 'infinity', 0,
 'aaaaaaaa-0000-4000-8000-000000000001', null, false),
('bbbbbbbb-0000-4000-8000-000000000001', '2030-01-01', '2030-01-02', 2, '2030-02-01', 7,
 'aaaaaaaa-0000-4000-8000-000000000001', null, true),
('cccccccc-0000-4000-8000-000000000001', '2030-01-01', '2030-01-02', 2, 'infinity', 8, null,
 '2030-01-02', false);
insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason)
select id::uuid, seq, at::timestamptz, 1, 1, 'promo_grant'
from (values
    ('aaaaaaaa-0000-4000-8000-000000000001', 1, '2030-01-01'),
    ('aaaaaaaa-0000-4000-8000-000000000001', 2, '2030-01-02'),
    ('bbbbbbbb-0000-4000-8000-000000000001', 1, '2029-12-31'),
    ('bbbbbbbb-0000-4000-8000-000000000001', 2, '2030-01-02'),
    ('cccccccc-0000-4000-8000-000000000001', 1, '2030-01-01'),
    ('cccccccc-0000-4000-8000-000000000001', 2, '2030-01-03')
) as q (id, seq, at);
insert into public.credit_grants (
    user_id, seq, n, priority, kind, amount, remaining, created_at, expires_at, origin
)
select id::uuid, seq, 1, 10, 'promotional', 5, remaining, '2030-01-01', at::timestamptz,
    gen_random_uuid()
from (values
    ('aaaaaaaa-0000-4000-8000-000000000001', 1, 5, '2030-02-01'),
    ('aaaaaaaa-0000-4000-8000-000000000001', 2, 0, '2030-01-20'),
    ('bbbbbbbb-0000-4000-8000-000000000001', 1, 1, '2030-01-31'),
    ('cccccccc-0000-4000-8000-000000000001', 1, 5, 'infinity')
) as g (id, seq, remaining, at);
insert into public.purchase_revocations (
    user_id, origin, revoked, recovered, repaid, waived, policy, created_at
)
select id::uuid, gen_random_uuid(), 20, 3, 4, waived, policy, '2030-01-02'
from (values
    ('aaaaaaaa-0000-4000-8000-000000000001', 'debt', 0),
    ('aaaaaaaa-0000-4000-8000-000000000001', 'block', 13),
    ('cccccccc-0000-4000-8000-000000000001', 'block', 3)
) as r (id, policy, waived);

select is_empty(
    $$ select * from rendio.reconcile_accounts(
       'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000002') $$,
    'Ada and her guest are well'
);
select set_eq(
    $$ select left(user_id::text, 1), problem, expected, actual from rendio.reconcile_accounts(
       'bbbbbbbb-0000-4000-8000-000000000001', 'cccccccc-0000-4000-8000-000000000001') $$,
    $$ values
       ('b', 'closed_account_holds_credits', 0::bigint, 7::bigint),
       ('b', 'blocked_differs_from_debts', 0, 0),
       ('b', 'expiry_is_not_watched', 0, 7),
       ('b', 'ledger_outside_of_its_times', 0, 2),
       ('c', 'closed_account_holds_credits', 0, 8),
       ('c', 'blocked_differs_from_debts', 0, 10),
       ('c', 'ledger_outside_of_its_times', 0, 2) $$,
    'the others are not, each in all that can be wrong'
);
select results_eq(
    $$ select count(*) from rendio.reconcile_accounts(
       'aaaaaaaa-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ values (4::bigint) $$, 'and nobody else is told'
);

select * from finish();
rollback;
