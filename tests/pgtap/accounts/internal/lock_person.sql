-- Who settles a person's credits holds the guest and the account that took it over.
begin;
select plan(6);

insert into public.users (id, is_guest, merged_into) values
('aaaaaaaa-0000-4000-8000-000000000001', false, null),
('aaaaaaaa-0000-4000-8000-000000000002', true, 'aaaaaaaa-0000-4000-8000-000000000001'),
('bbbbbbbb-0000-4000-8000-000000000001', true, null);
-- A lock leaves its mark in xmax; xmin cannot say, all rows are this transaction's.
create temp view locked as select right(id::text, 1) || left(id::text, 1) as who
from public.users where xmax <> 0;

select throws_ok(
    $$ select rendio.lock_person('eeeeeeee-0000-4000-8000-000000000001') $$,
    'P0002', null, 'nobody is no person'
);
select is_empty('select * from locked', 'and locks nothing');
select is(
    (rendio.lock_person('bbbbbbbb-0000-4000-8000-000000000001')).id,
    'bbbbbbbb-0000-4000-8000-000000000001'::uuid, 'Ben is himself'
);
select results_eq(
    'select who from locked', $$ values ('1b') $$, 'and he alone is held'
);
select is(
    (rendio.lock_person('aaaaaaaa-0000-4000-8000-000000000002')).id,
    'aaaaaaaa-0000-4000-8000-000000000001'::uuid, 'of Ada''s tablet it is her account that answers'
);
select set_eq(
    'select who from locked', $$ values ('1b'), ('2a'), ('1a') $$, 'and both are held'
);

select * from finish();
rollback;
