-- One source of time, which a test may replace for its own transaction.
begin;
select plan(2);

select ok(
    rendio.clock() > now() and rendio.clock() <= clock_timestamp(),
    'the clock is the server''s, and runs on within a transaction'
);

-- The test stops it, and everything that asks for the time gets the test's.
create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-02-28 23:59:59+00'; end;
insert into public.users (id) values ('aaaaaaaa-0000-4000-8000-000000000001');
select is(
    (select created_at from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    '2030-02-28 23:59:59+00', 'defaults of tables ask it too'
);

select * from finish();
rollback;
