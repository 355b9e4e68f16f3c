-- Where the ids of 10,000 users end.
begin;
select plan(6);

-- 25,000 users, numbered in their last digits.
create function pg_temp.id(p_number integer) returns uuid language sql as $$
    select ('aaaaaaaa-0000-4000-8000-' || lpad(p_number::text, 12, '0'))::uuid;
$$;
insert into public.users (id) select pg_temp.id(n) from generate_series(1, 25000) as n;
prepare chunk as
select rendio.chunk_end($1, 'ffffffff-ffff-ffff-ffff-ffffffffffff');

select results_eq(
    $$ execute chunk('00000000-0000-0000-0000-000000000000') $$, array[pg_temp.id(10000)],
    'the first 10,000, wherever one starts before them'
);
select results_eq(
    $$ execute chunk(pg_temp.id(10001)) $$, array[pg_temp.id(20000)],
    'the next 10,000'
);
select results_eq(
    $$ execute chunk(pg_temp.id(20001)) $$,
    array['ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid],
    'of fewer, the end that was asked for: who has no account is there as well'
);
select is(
    rendio.chunk_end('00000000-0000-0000-0000-000000000000', pg_temp.id(10000)), pg_temp.id(10000),
    'it may be that of the last'
);
select is(
    rendio.chunk_end('00000000-0000-0000-0000-000000000000', pg_temp.id(300)), pg_temp.id(300),
    'or comes before'
);
select is(
    rendio.chunk_end(pg_temp.id(9), pg_temp.id(2)), pg_temp.id(2), 'where there is nobody, at once'
);

select * from finish();
rollback;
