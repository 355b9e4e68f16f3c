-- The first to bring an Apple id is its account; who comes later is merged into it.
begin;
select plan(9);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000002', 'ada-tablet');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
end $$;
create function pg_temp.joins(p_user_id uuid, p_sub text default 'ada-sub') returns text
language sql as $$
    select right(account_id::text, 1) || case when replayed then ', as before' else '' end
    from rendio.join_apple_account(p_user_id, p_sub, null, now());
$$;

select is(pg_temp.joins('aaaaaaaa-0000-4000-8000-000000000001'), '1', 'her phone is first');
select is(pg_temp.joins('aaaaaaaa-0000-4000-8000-000000000001'), '1, as before', 'it was that');
select is(pg_temp.joins('aaaaaaaa-0000-4000-8000-000000000002'), '1', 'her tablet joins it');
select is(pg_temp.joins('aaaaaaaa-0000-4000-8000-000000000002'), '1, as before', 'it had');
select results_eq(
    $$ select right(id::text, 1), is_guest, merged_into is not null, credits_remaining::bigint
       from public.users where id::text like 'aaaa%' order by id $$,
    $$ values ('1', false, false, 20::bigint), ('2', true, true, 0) $$,
    'the phone''s account has all credits'
);
select throws_ok(
    $$ select pg_temp.joins('aaaaaaaa-0000-4000-8000-000000000001', 'other-sub') $$,
    'PT409', 'invalid_transition', 'an account has one Apple id'
);
select throws_ok(
    $$ select pg_temp.joins('aaaaaaaa-0000-4000-8000-000000000002', 'other-sub') $$,
    'PT409', 'account_merged', 'a merged guest none of its own'
);
select throws_ok(
    $$ select pg_temp.joins('eeeeeeee-0000-4000-8000-000000000001', 'other-sub') $$,
    'PT404', 'user_not_found', 'and nobody none'
);
select is_empty(
    $$ select identifier from public.account_identities where identifier = 'other-sub' $$,
    'a refused one is free'
);

select * from finish();
rollback;
