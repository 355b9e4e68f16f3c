-- The door that only the service passes.
begin;
select plan(3);

grant usage on schema rendio to public;
grant execute on function
rendio.require_service(), rendio.caller_is_service() to public;

set local role service_role;
select lives_ok($$ select rendio.require_service() $$, 'the service passes');
set local role authenticated;
set local request.jwt.claims
= '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "role": "service_role"}';
select throws_ok(
    $$ select rendio.require_service() $$, 'PT403', 'service_only',
    'a user does not, even one whose token claims to be the service'
);
set local role anon;
select throws_ok($$ select rendio.require_service() $$, 'PT403', 'service_only', 'nor does anon');
reset role;

select * from finish();
rollback;
