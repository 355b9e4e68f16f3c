-- Purchases beside the entries that they brought.
begin;
select plan(3);

insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason) values
('aaaaaaaa-0000-4000-8000-000000000001', 1, now(), 20, 20, 'iap_purchase'),
('aaaaaaaa-0000-4000-8000-000000000001', 2, now(), 25, 5, 'promo_grant'),
('bbbbbbbb-0000-4000-8000-000000000001', 1, now(), 20, 20, 'iap_purchase'),
('bbbbbbbb-0000-4000-8000-000000000001', 2, now(), 70, 50, 'iap_purchase');
insert into public.iap_transactions
    (store, environment, transaction_id, user_id, product_id, credits_added, ledger_seq,
     purchased_at, created_at)
select 'app_store', 'Production', id, user_id::uuid, 'credits_20', credits, seq, now(), now()
from (values
    ('1', 'aaaaaaaa-0000-4000-8000-000000000001', 20, 1),
    ('2', 'aaaaaaaa-0000-4000-8000-000000000001', 0, null),
    ('3', 'bbbbbbbb-0000-4000-8000-000000000001', 120, 1),
    ('4', 'bbbbbbbb-0000-4000-8000-000000000001', 7, null),
    ('5', 'bbbbbbbb-0000-4000-8000-000000000001', 8, 9)
) as t (id, user_id, credits, seq);

select is_empty(
    $$ select * from rendio.reconcile_purchases(
       'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001') $$,
    'a purchase that brought nothing has no entry, and other credits were not bought'
);
select set_eq(
    $$ select * from rendio.reconcile_purchases(
       'bbbbbbbb-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ values
       ('bbbbbbbb-0000-4000-8000-000000000001'::uuid, 'purchase_differs_from_ledger', 20::bigint,
        120::bigint),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'purchase_differs_from_ledger', 50, 0),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'purchase_differs_from_ledger', 0, 7),
       ('bbbbbbbb-0000-4000-8000-000000000001', 'purchase_differs_from_ledger', 0, 8) $$,
    'one that says more, an entry that nobody bought, two that brought none'
);
select results_eq(
    $$ select count(*) from rendio.reconcile_purchases(
       'aaaaaaaa-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ values (4::bigint) $$,
    'who is at either end is among them'
);

select * from finish();
rollback;
