-- An account, or the reason why there is none.
begin;
select plan(5);

insert into public.users (id, merged_into, deleted_at) values
('aaaaaaaa-0000-4000-8000-000000000001', null, null),
('aaaaaaaa-0000-4000-8000-000000000002', 'aaaaaaaa-0000-4000-8000-000000000001', null),
('cccccccc-0000-4000-8000-000000000001', null, '2030-01-15');

select is(
    (rendio.require_account('aaaaaaaa-0000-4000-8000-000000000001')).id,
    'aaaaaaaa-0000-4000-8000-000000000001', 'a known user comes back whole'
);
select throws_ok(
    $$ select rendio.require_account('aaaaaaaa-0000-4000-8000-000000000009') $$,
    'PT404', 'user_not_found', 'an unknown one is refused'
);
select is(
    (rendio.require_account('aaaaaaaa-0000-4000-8000-000000000002')).id,
    'aaaaaaaa-0000-4000-8000-000000000002', 'a merged guest can be looked at'
);
select throws_ok(
    $$ select rendio.require_account('cccccccc-0000-4000-8000-000000000001') $$,
    'PT404', 'user_not_found', 'a deleted account is as good as unknown'
);
select throws_ok(
    $$ select rendio.require_account(null) $$, 'PT404', 'user_not_found', 'and so is no user at all'
);

select * from finish();
rollback;
