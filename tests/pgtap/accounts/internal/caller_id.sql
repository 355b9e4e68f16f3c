-- Who the token says is calling; anything that is no user id is nobody.
begin;
select plan(14);

select is(rendio.caller_id(), null, 'without claims nobody calls');

set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is(
    rendio.caller_id(), 'aaaaaaaa-0000-4000-8000-000000000001', 'the subject of the claims calls'
);
set local request.jwt.claim.sub = 'bbbbbbbb-0000-4000-8000-000000000001';
select is(
    rendio.caller_id(), 'bbbbbbbb-0000-4000-8000-000000000001',
    'the older single claim comes first, as in auth.uid()'
);
select is(rendio.caller_id(), auth.uid(), 'and both agree');
set local request.jwt.claim.sub = '';
select is(
    rendio.caller_id(), 'aaaaaaaa-0000-4000-8000-000000000001', 'an empty claim is no claim'
);

-- Malformed claims are nobody, never an error that says how the token was read.
set local request.jwt.claims = '';
select is(rendio.caller_id(), null, 'empty claims');
set local request.jwt.claims = '{"sub": ';
select is(rendio.caller_id(), null, 'broken JSON');
set local request.jwt.claims = '["aaaaaaaa-0000-4000-8000-000000000001"]';
select is(rendio.caller_id(), null, 'claims that are no object');
set local request.jwt.claims = '{"role": "authenticated"}';
select is(rendio.caller_id(), null, 'no subject');
set local request.jwt.claims = '{"sub": null}';
select is(rendio.caller_id(), null, 'a null subject');
set local request.jwt.claims = '{"sub": "ada"}';
select is(rendio.caller_id(), null, 'a subject that is no uuid');
set local request.jwt.claims = '{"sub": 7}';
select is(rendio.caller_id(), null, 'a subject that is no text');
set local request.jwt.claims = '{"sub": "\u0000"}';
select is(rendio.caller_id(), null, 'a character that text cannot hold');
do $$ begin
    perform set_config('request.jwt.claims', repeat('[', 200000), true);
end $$;
select is(rendio.caller_id(), null, 'nesting too deep to read');

select * from finish();
rollback;
