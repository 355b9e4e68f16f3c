-- Entries of months that have no partition.
begin;
select plan(3);

insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason)
select user_id::uuid, seq, created_at::timestamptz, 1, 1, 'promo_grant'
from (values
    ('aaaaaaaa-0000-4000-8000-000000000001', 1, now()::text),
    ('bbbbbbbb-0000-4000-8000-000000000001', 1, '1999-12-31 23:59:59+00'),
    ('bbbbbbbb-0000-4000-8000-000000000001', 2, '2000-01-01 00:00:00+00'),
    ('bbbbbbbb-0000-4000-8000-000000000001', 3, now()::text),
    ('cccccccc-0000-4000-8000-000000000001', 1, '2000-01-01 00:00:00+00')
) as q (user_id, seq, created_at);

select is_empty(
    $$ select * from rendio.reconcile_partitions(
       'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001') $$,
    'an entry of a month that has one is where it belongs'
);
select set_eq(
    $$ select * from rendio.reconcile_partitions(
       'bbbbbbbb-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ values
       ('bbbbbbbb-0000-4000-8000-000000000001'::uuid, 'entries_in_default_partition', 0::bigint,
        2::bigint) $$,
    'the others are counted'
);
select results_eq(
    $$ select user_id, actual from rendio.reconcile_partitions(
       'aaaaaaaa-0000-4000-8000-000000000001', 'cccccccc-0000-4000-8000-000000000001')
       order by user_id $$,
    $$ values
       ('bbbbbbbb-0000-4000-8000-000000000001'::uuid, 2::bigint),
       ('cccccccc-0000-4000-8000-000000000001', 1) $$,
    'by user'
);

select * from finish();
rollback;
