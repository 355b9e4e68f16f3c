-- Whose jobs a user may read: its own, and those of the guests that it took over.
begin;
select plan(4);

insert into public.users (id, is_guest, merged_into) values
('aaaaaaaa-0000-4000-8000-000000000001', false, null),
('aaaaaaaa-0000-4000-8000-000000000002', true, 'aaaaaaaa-0000-4000-8000-000000000001'),
('aaaaaaaa-0000-4000-8000-000000000003', true, 'aaaaaaaa-0000-4000-8000-000000000001'),
('bbbbbbbb-0000-4000-8000-000000000001', true, null);

select set_eq(
    $$ select rendio.people_of('aaaaaaaa-0000-4000-8000-000000000001') $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid),
       ('aaaaaaaa-0000-4000-8000-000000000002'), ('aaaaaaaa-0000-4000-8000-000000000003') $$,
    'an account and its guests'
);
select set_eq(
    $$ select rendio.people_of('aaaaaaaa-0000-4000-8000-000000000002') $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000002'::uuid) $$,
    'a merged guest is nobody but itself'
);
select set_eq(
    $$ select rendio.people_of('bbbbbbbb-0000-4000-8000-000000000001') $$,
    $$ values ('bbbbbbbb-0000-4000-8000-000000000001'::uuid) $$, 'and so is one of its own'
);
select is(
    (select count(*)::integer from rendio.people_of(null) as p where p is not null), 0,
    'nobody has no guests, though most users are merged into nobody'
);

select * from finish();
rollback;
