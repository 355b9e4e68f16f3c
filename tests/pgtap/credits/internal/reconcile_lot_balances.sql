-- What the lots hold is the balance as of the last entry that they account for.
begin;
select plan(3);

-- Ada's lots are an entry behind, Dan's have accounted for nothing; Ben's lost two credits, and
-- Cleo's account for an entry that is not there.
insert into public.users (id, lots_seq) values
('aaaaaaaa-0000-4000-8000-000000000001', 2),
('bbbbbbbb-0000-4000-8000-000000000001', 2),
('cccccccc-0000-4000-8000-000000000001', 7),
('dddddddd-0000-4000-8000-000000000001', 0);
insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason)
select u.id, e.seq, now(), e.balance, e.change, e.reason::rendio.ledger_reason
from public.users as u
cross join (values
    (1, 10, 10, 'promo_grant'), (2, 6, -4, 'video_generation'), (3, 9, 3, 'promo_grant')
) as e (seq, balance, change, reason);
insert into public.credit_grants (user_id, seq, priority, kind, amount, remaining, created_at)
select user_id::uuid, seq, 10, 'promotional', amount, remaining, now()
from (values
    ('aaaaaaaa-0000-4000-8000-000000000001', 1, 10, 6),
    ('aaaaaaaa-0000-4000-8000-000000000001', 3, 3, 3),
    ('bbbbbbbb-0000-4000-8000-000000000001', 1, 10, 4),
    ('bbbbbbbb-0000-4000-8000-000000000001', 3, 3, 3),
    ('cccccccc-0000-4000-8000-000000000001', 1, 10, 6),
    ('dddddddd-0000-4000-8000-000000000001', 1, 10, 10)
) as g (user_id, seq, amount, remaining);

select is_empty(
    $$ select * from rendio.reconcile_lot_balances(
       'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001')
       union all
       select * from rendio.reconcile_lot_balances(
       'dddddddd-0000-4000-8000-000000000001', 'dddddddd-0000-4000-8000-000000000001') $$,
    'lots of entries that are not accounted for yet do not count'
);
select set_eq(
    $$ select * from rendio.reconcile_lot_balances(
       'bbbbbbbb-0000-4000-8000-000000000001', 'cccccccc-0000-4000-8000-000000000001') $$,
    $$ values
       ('bbbbbbbb-0000-4000-8000-000000000001'::uuid, 'lots_differ_from_balance', 6::bigint,
        4::bigint),
       ('cccccccc-0000-4000-8000-000000000001', 'lots_differ_from_balance', 0, 6) $$,
    'lots that hold too little, lots ahead of their ledger'
);
select results_eq(
    $$ select count(*) from rendio.reconcile_lot_balances(
       'aaaaaaaa-0000-4000-8000-000000000001', 'dddddddd-0000-4000-8000-000000000001') $$,
    $$ values (2::bigint) $$,
    'and nobody else is told'
);

select * from finish();
rollback;
