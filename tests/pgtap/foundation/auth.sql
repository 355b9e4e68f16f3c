-- The caller's claims, as auth.uid(), auth.role() and auth.jwt() tell them on any server.
begin;
select plan(6);

select is(auth.uid(), null, 'without a request there is no user');
select is(auth.role(), null, 'no role');

set local request.jwt.claims
= '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "role": "authenticated", "aal": "aal1"}';
set local role authenticated;
select is(auth.uid(), 'aaaaaaaa-0000-4000-8000-000000000001', 'the subject is the user');
select is(auth.role(), 'authenticated', 'the role is the claimed one');
select is(auth.jwt() ->> 'aal', 'aal1', 'every claim can be read');

set local role anon;
set local request.jwt.claims = '';
select is(auth.uid(), null, 'an empty setting is no user');
reset role;

select * from finish();
rollback;
