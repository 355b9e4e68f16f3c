-- An open guest is one that nobody has taken over.
begin;
select plan(1);

insert into public.users (id, is_guest, merged_into) values
('aaaaaaaa-0000-4000-8000-000000000001', true, null),
('aaaaaaaa-0000-4000-8000-000000000002', true, 'bbbbbbbb-0000-4000-8000-000000000001'),
('bbbbbbbb-0000-4000-8000-000000000001', false, null);

select results_eq(
    $$ select u.id, rendio.is_open_guest(u) from public.users as u
       where u.id in ('aaaaaaaa-0000-4000-8000-000000000001',
           'aaaaaaaa-0000-4000-8000-000000000002', 'bbbbbbbb-0000-4000-8000-000000000001')
       order by u.id $$,
    $$ values
       ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, true),
       ('aaaaaaaa-0000-4000-8000-000000000002', false),
       ('bbbbbbbb-0000-4000-8000-000000000001', false) $$,
    'a guest is open, a merged guest and an account are not'
);

select * from finish();
rollback;
