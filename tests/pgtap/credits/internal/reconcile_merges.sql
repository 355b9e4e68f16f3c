-- What guests gave beside what their account got.
begin;
select plan(3);

insert into public.users (id, merged_into) values
('aaaaaaaa-0000-4000-8000-000000000001', null),
('aaaaaaaa-0000-4000-8000-000000000002', 'aaaaaaaa-0000-4000-8000-000000000001'),
('aaaaaaaa-0000-4000-8000-000000000003', 'aaaaaaaa-0000-4000-8000-000000000001'),
('bbbbbbbb-0000-4000-8000-000000000001', null),
('bbbbbbbb-0000-4000-8000-000000000002', 'bbbbbbbb-0000-4000-8000-000000000001'),
('cccccccc-0000-4000-8000-000000000001', null),
('dddddddd-0000-4000-8000-000000000001', 'dddddddd-0000-4000-8000-000000000002');
insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason)
select id::uuid, seq, now(), 0, change, reason::rendio.ledger_reason
from (values
    ('aaaaaaaa-0000-4000-8000-000000000001', 1, 10, 'guest_merge_in'),
    ('aaaaaaaa-0000-4000-8000-000000000001', 2, 7, 'guest_merge_in'),
    ('aaaaaaaa-0000-4000-8000-000000000001', 3, 5, 'promo_grant'),
    ('aaaaaaaa-0000-4000-8000-000000000002', 1, -10, 'guest_merge_out'),
    ('aaaaaaaa-0000-4000-8000-000000000003', 1, -4, 'guest_merge_out'),
    ('aaaaaaaa-0000-4000-8000-000000000003', 2, -3, 'guest_merge_out'),
    ('bbbbbbbb-0000-4000-8000-000000000001', 1, 1010, 'guest_merge_in'),
    ('bbbbbbbb-0000-4000-8000-000000000002', 1, -10, 'guest_merge_out'),
    ('cccccccc-0000-4000-8000-000000000001', 1, 5, 'guest_merge_in'),
    ('dddddddd-0000-4000-8000-000000000001', 1, -6, 'guest_merge_out')
) as q (id, seq, change, reason);

select is_empty(
    $$ select * from rendio.reconcile_merges(
       'aaaaaaaa-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000003') $$,
    'two guests gave what Ada got, in as many pieces as it took'
);
select set_eq(
    $$ select left(user_id::text, 1), problem, expected, actual from rendio.reconcile_merges(
       'bbbbbbbb-0000-4000-8000-000000000001', 'dddddddd-0000-4000-8000-000000000002') $$,
    $$ values ('b', 'merges_differ', 10::bigint, 1010::bigint), ('c', 'merges_differ', 0, 5),
       ('d', 'merges_differ', 6, 0) $$,
    'Ben got more, Cyd from nobody, and Dan nothing'
);
select results_eq(
    $$ select count(*) from rendio.reconcile_merges(
       'bbbbbbbb-0000-4000-8000-000000000001', 'cccccccc-0000-4000-8000-000000000001') $$,
    $$ values (2::bigint) $$, 'and nobody else is told'
);

select * from finish();
rollback;
