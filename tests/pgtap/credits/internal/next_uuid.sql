-- The id after an id.
begin;
select plan(6);

select is(
    rendio.next_uuid('00000000-0000-0000-0000-000000000000'),
    '00000000-0000-0000-0000-000000000001', 'after the first'
);
select is(
    rendio.next_uuid('a1b2c3d4-0000-4000-8000-0000000000fe'),
    'a1b2c3d4-0000-4000-8000-0000000000ff', 'after any'
);
select is(
    rendio.next_uuid('a1b2c3d4-0000-4000-8000-00ffffffffff'),
    'a1b2c3d4-0000-4000-8000-010000000000', 'with a carry'
);
select is(
    rendio.next_uuid('7fffffff-ffff-ffff-ffff-ffffffffffff'),
    '80000000-0000-0000-0000-000000000000', 'all the way'
);
select is(
    rendio.next_uuid('ffffffff-ffff-ffff-ffff-ffffffffffff'), null, 'after the last there is none'
);
select is(rendio.next_uuid(null), null, 'nor after nothing');

select * from finish();
rollback;
