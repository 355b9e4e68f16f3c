-- Signing in pays no debt: the account owes what its guest did.
begin;
select plan(7);

insert into public.users (id, is_guest, is_blocked) values
('aaaaaaaa-0000-4000-8000-000000000001', false, false),
('aaaaaaaa-0000-4000-8000-000000000002', true, true),
('bbbbbbbb-0000-4000-8000-000000000001', false, false),
('bbbbbbbb-0000-4000-8000-000000000002', true, false);
insert into public.purchase_revocations (
    user_id, origin, revoked, recovered, repaid, waived, policy, created_at
)
select
    ('aaaaaaaa-0000-4000-8000-00000000000' || n)::uuid,
    ('eeeeeeee-0000-4000-8000-00000000000' || origin)::uuid,
    revoked, recovered, repaid, waived, policy, created_at::timestamptz
from (values
    (1, 1, 9, 2, 0, 0, 'debt', '2030-01-11'),
    (2, 2, 20, 5, 3, 1, 'block', '2030-01-12'),
    (2, 3, 50, 50, 0, 0, 'debt', '2030-01-13'),
    (2, 4, 7, 0, 0, 0, 'forgive', '2030-01-14')
) as r (n, origin, revoked, recovered, repaid, waived, policy, created_at);
-- A lock leaves its mark in xmax.
create temp view held as select id from public.users where xmax <> 0 and left(id::text, 1) = 'b';

-- Ben's guest owes nothing.
do $$ begin
    perform rendio.move_debts('bbbbbbbb-0000-4000-8000-000000000002',
        'bbbbbbbb-0000-4000-8000-000000000001');
end $$;
select is(
    (select count(*) from public.purchase_revocations
     where user_id = 'bbbbbbbb-0000-4000-8000-000000000001'),
    0::bigint, 'Ben''s account comes to owe nothing'
);
select is_empty('select * from held', 'and nobody waits for it');

-- Ada's does.
do $$ begin
    perform rendio.move_debts('aaaaaaaa-0000-4000-8000-000000000002',
        'aaaaaaaa-0000-4000-8000-000000000001');
end $$;
select results_eq(
    $$ select right(origin::text, 1), revoked, recovered, repaid, waived, policy, created_at
       from public.purchase_revocations
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' order by origin $$,
    $$ values
       ('1', 9::bigint, 2::bigint, 0::bigint, 0::bigint, 'debt', timestamptz '2030-01-11'),
       ('2', 20, 5, 3, 1, 'block', '2030-01-12'),
       ('3', 50, 50, 0, 0, 'debt', '2030-01-13'),
       ('4', 7, 0, 0, 0, 'forgive', '2030-01-14') $$,
    'Ada''s account has its own and the guest''s, as they were; the paid one too, for its reversal'
);
select is_empty(
    $$ select * from public.purchase_revocations
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000002' $$,
    'the guest has none'
);
select results_eq(
    $$ select right(id::text, 1), is_blocked from public.users
       where left(id::text, 1) = 'a' order by id $$,
    $$ values ('1', true), ('2', false) $$,
    'nor is the guest blocked: its account is'
);
select is(
    rendio.credits_owed('aaaaaaaa-0000-4000-8000-000000000001'), 18::bigint, 'it owes 7 and 11'
);

-- A second time there is nothing left to move.
do $$ begin
    perform rendio.move_debts('aaaaaaaa-0000-4000-8000-000000000002',
        'aaaaaaaa-0000-4000-8000-000000000001');
end $$;
select is(
    rendio.credits_owed('aaaaaaaa-0000-4000-8000-000000000001'), 18::bigint, 'that does not double'
);

select * from finish();
rollback;
