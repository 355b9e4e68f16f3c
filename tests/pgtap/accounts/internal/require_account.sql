-- An account, or the reason why there is none.
begin;
select plan(3);

insert into public.users (id) values ('aaaaaaaa-0000-4000-8000-000000000001');

select is(
    (rendio.require_account('aaaaaaaa-0000-4000-8000-000000000001')).id,
    'aaaaaaaa-0000-4000-8000-000000000001', 'a known user comes back whole'
);
select throws_ok(
    $$ select rendio.require_account('aaaaaaaa-0000-4000-8000-000000000009') $$,
    'PT404', 'user_not_found', 'an unknown one is refused'
);
select throws_ok(
    $$ select rendio.require_account(null) $$, 'PT404', 'user_not_found', 'and so is none'
);

select * from finish();
rollback;
