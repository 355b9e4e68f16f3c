-- The service is a database role, never a claim.
begin;
select plan(8);

create role story_worker noinherit;
create role story_backend inherit;
create role story_visitor;
grant service_role to story_worker, story_backend;
grant story_worker, story_backend, story_visitor to current_user;
-- The function is nobody's to call from outside; the story looks inside.
grant usage on schema rendio to public;
grant execute on function rendio.caller_is_service() to public;

select ok(rendio.caller_is_service(), 'who migrates is the service');
set local role service_role;
select ok(rendio.caller_is_service(), 'service_role is');
set local role story_backend;
select ok(rendio.caller_is_service(), 'and a role that inherits from it');
set local role story_worker;
select ok(not rendio.caller_is_service(), 'not one that would first have to become it');
set local role authenticated;
select ok(not rendio.caller_is_service(), 'a user is not');
set local request.jwt.claims = '{"role": "service_role"}';
set local request.jwt.claim.role = 'service_role';
select ok(not rendio.caller_is_service(), 'whatever its token claims');
set local role anon;
select ok(not rendio.caller_is_service(), 'anon is not');
set local role story_visitor;
select ok(not rendio.caller_is_service(), 'nor is a role of somebody else''s');
reset role;

select * from finish();
rollback;
