-- The door that the service passes for anyone, and each user for itself.
begin;
select plan(9);

grant usage on schema rendio to public;
grant execute on all functions in schema rendio to public;

set local role service_role;
select lives_ok(
    $$ select rendio.require_user('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'the service passes for any user'
);
select throws_ok(
    $$ select rendio.require_user(null) $$, 'PT400', 'invalid_argument', 'but must name one'
);

set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select lives_ok(
    $$ select rendio.require_user('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'Ada passes for herself'
);
select throws_ok(
    $$ select rendio.require_user('bbbbbbbb-0000-4000-8000-000000000001') $$,
    'PT403', 'not_your_account', 'not for Ben'
);
select throws_ok(
    $$ select rendio.require_user(null) $$, 'PT403', 'not_your_account', 'and not for nobody'
);

set local request.jwt.claims = '{"sub": "ada"}';
select throws_ok(
    $$ select rendio.require_user('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT401', 'not_authenticated', 'a malformed subject is no identity'
);
set local request.jwt.claims = '{"role": "service_role"}';
select throws_ok(
    $$ select rendio.require_user('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT401', 'not_authenticated', 'and a claimed role neither'
);
set local request.jwt.claims = '';
select throws_ok(
    $$ select rendio.require_user('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT401', 'not_authenticated', 'nor no claims at all'
);
select throws_ok(
    $$ select rendio.require_user(null) $$,
    'PT401', 'not_authenticated', 'null is nobody''s id'
);
reset role;

select * from finish();
rollback;
