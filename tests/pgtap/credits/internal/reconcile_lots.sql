-- Lots beside the entries that brought them.
begin;
select plan(3);

insert into public.users (id) values
('aaaaaaaa-0000-4000-8000-000000000001'),
('bbbbbbbb-0000-4000-8000-000000000001');
insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason) values
('aaaaaaaa-0000-4000-8000-000000000001', 1, now(), 10, 10, 'promo_grant'),
('aaaaaaaa-0000-4000-8000-000000000001', 2, now(), 6, -4, 'video_generation'),
('aaaaaaaa-0000-4000-8000-000000000001', 3, now(), 10, 4, 'generation_failed_refund'),
('aaaaaaaa-0000-4000-8000-000000000001', 4, now(), 15, 5, 'guest_merge_in'),
('bbbbbbbb-0000-4000-8000-000000000001', 1, now(), 10, 10, 'promo_grant'),
('bbbbbbbb-0000-4000-8000-000000000001', 2, now(), 30, 20, 'iap_purchase'),
('bbbbbbbb-0000-4000-8000-000000000001', 3, now(), 26, -4, 'video_generation'),
('bbbbbbbb-0000-4000-8000-000000000001', 4, now(), 30, 4, 'generation_failed_refund');
insert into public.credit_grants (user_id, seq, n, priority, kind, amount, remaining, created_at)
select user_id::uuid, seq, n, 10, 'promotional', amount, amount, now()
from (values
    ('aaaaaaaa-0000-4000-8000-000000000001', 1, 1, 10),
    ('aaaaaaaa-0000-4000-8000-000000000001', 3, 1, 1),
    ('aaaaaaaa-0000-4000-8000-000000000001', 3, 2, 2),
    ('aaaaaaaa-0000-4000-8000-000000000001', 4, 1, 2),
    ('aaaaaaaa-0000-4000-8000-000000000001', 4, 2, 3),
    ('bbbbbbbb-0000-4000-8000-000000000001', 2, 1, 21),
    ('bbbbbbbb-0000-4000-8000-000000000001', 3, 1, 4),
    ('bbbbbbbb-0000-4000-8000-000000000001', 4, 1, 5),
    ('bbbbbbbb-0000-4000-8000-000000000001', 9, 1, 6)
) as g (user_id, seq, n, amount);

select is_empty(
    $$ select * from rendio.reconcile_lots(
       'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001') $$,
    'an entry may bring several lots, a refund fewer credits than it returned'
);
select set_eq(
    $$ select * from rendio.reconcile_lots(
       'bbbbbbbb-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ values
       ('bbbbbbbb-0000-4000-8000-000000000001'::uuid, 'lot_differs_from_ledger', 10::bigint,
        null::bigint),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'lot_differs_from_ledger', 20, 21),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'lot_differs_from_ledger', -4, 4),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'lot_differs_from_ledger', 4, 5),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'lot_differs_from_ledger', null, 6) $$,
    'a grant without a lot, a larger one, one of a charge, one beyond a refund, one of nothing'
);
select results_eq(
    $$ select count(*) from rendio.reconcile_lots(
       'aaaaaaaa-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ values (5::bigint) $$,
    'who is at either end is among them'
);

select * from finish();
rollback;
