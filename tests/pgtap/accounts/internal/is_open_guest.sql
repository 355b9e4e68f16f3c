-- An open guest is one that no account has taken over and nobody has deleted.
begin;
select plan(1);

insert into public.users (id, is_guest, merged_into, deleted_at) values
('aaaaaaaa-0000-4000-8000-000000000001', true, null, null),
('aaaaaaaa-0000-4000-8000-000000000002', true, 'bbbbbbbb-0000-4000-8000-000000000001', null),
('aaaaaaaa-0000-4000-8000-000000000003', true, null, '2030-01-15'),
('bbbbbbbb-0000-4000-8000-000000000001', false, null, null);

select results_eq(
    $$ select u.id, rendio.is_open_guest(u) from public.users as u
       order by u.id $$,
    $$ values
       ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, true),
       ('aaaaaaaa-0000-4000-8000-000000000002', false),
       ('aaaaaaaa-0000-4000-8000-000000000003', false),
       ('bbbbbbbb-0000-4000-8000-000000000001', false) $$,
    'a guest is open; a merged guest, a deleted one and an account are not'
);

select * from finish();
rollback;
