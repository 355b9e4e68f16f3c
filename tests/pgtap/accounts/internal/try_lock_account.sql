-- Maintenance asks for the account behind a guest, and does not wait for it. (A row that somebody
-- else holds is shown in the integration tests: it takes a second session.)
begin;
select plan(5);

insert into public.users (id, is_guest, merged_into) values
('aaaaaaaa-0000-4000-8000-000000000001', false, null),
('aaaaaaaa-0000-4000-8000-000000000002', true, 'aaaaaaaa-0000-4000-8000-000000000001'),
('bbbbbbbb-0000-4000-8000-000000000001', true, null);
-- A lock leaves its mark in xmax; xmin cannot say, all rows are this transaction's.
create temp view locked as select id from public.users where xmax <> 0;

select is(
    rendio.try_lock_account('bbbbbbbb-0000-4000-8000-000000000001'), true,
    'who is not merged has no account to lock'
);
select is(
    rendio.try_lock_account('eeeeeeee-0000-4000-8000-000000000001'), true, 'and neither has nobody'
);
select is_empty('select * from locked', 'nothing was locked for that');
select is(
    rendio.try_lock_account('aaaaaaaa-0000-4000-8000-000000000002'), true,
    'a guest''s account is free'
);
select results_eq(
    'select * from locked', $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid) $$,
    'and held now, not the guest'
);

select * from finish();
rollback;
