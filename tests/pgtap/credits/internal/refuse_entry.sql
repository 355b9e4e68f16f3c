-- Why a balance could not change.
begin;
select plan(9);

insert into public.users (id, credits_remaining, credits_total)
values ('aaaaaaaa-0000-4000-8000-000000000001', 3, 3);

select lives_ok(
    $$ select rendio.refuse_entry('aaaaaaaa-0000-4000-8000-000000000001', -3, '2026-11-05 12:00+00') $$,
    'it returns when the balance suffices by now'
);
select throws_ok(
    $$ select rendio.refuse_entry('aaaaaaaa-0000-4000-8000-000000000001', -4, '2026-11-05 12:00+00') $$,
    'PT402', 'insufficient_credits', 'too little is refused'
);
do $$
declare
    v_detail text;
begin
    perform rendio.refuse_entry('aaaaaaaa-0000-4000-8000-000000000001', -4, '2026-11-05 12:00+00');
exception
    when sqlstate 'PT402' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select is(
    current_setting('story.detail')::jsonb, '{"required": 4, "available": 3}',
    'with what it takes and what there is'
);
select throws_ok(
    $$ select rendio.refuse_entry('99999999-0000-4000-8000-000000000001', -4, '2026-11-05 12:00+00') $$,
    'PT404', 'user_not_found', 'an unknown user is said to be unknown'
);

-- Ben has 10, of which 5 have expired.
do $$ begin
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', -5, 'admin_adjustment',
        gen_random_uuid());
    perform public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 5, 'promo_grant',
        gen_random_uuid(), rendio.clock() + interval '1 day');
end $$;
do $$
declare
    v_detail text;
begin
    perform rendio.refuse_entry('bbbbbbbb-0000-4000-8000-000000000001', -6,
        rendio.clock() + interval '1 day');
    perform rendio.refuse_entry('bbbbbbbb-0000-4000-8000-000000000001', -6,
        rendio.clock() + interval '1 day');
exception
    when sqlstate 'PT402' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select is(
    current_setting('story.detail')::jsonb, '{"required": 6, "available": 5}',
    'what has expired is settled, and at the second try not there to be spent'
);
select lives_ok(
    $$ select rendio.refuse_entry('bbbbbbbb-0000-4000-8000-000000000001', -5,
       rendio.clock() + interval '1 day') $$,
    'what suffices without it does'
);
select results_eq(
    $$ select credits_remaining::bigint, next_expiry_at from public.users
       where id = 'bbbbbbbb-0000-4000-8000-000000000001' $$,
    $$ values (5::bigint, timestamptz 'infinity') $$, 'and finds it settled'
);

update public.users set merged_into = 'bbbbbbbb-0000-4000-8000-000000000001'
where id = 'aaaaaaaa-0000-4000-8000-000000000001';
select throws_ok(
    $$ select rendio.refuse_entry('aaaaaaaa-0000-4000-8000-000000000001', -4, '2026-11-05 12:00+00') $$,
    'PT409', 'account_merged', 'a merged one merged, before its balance matters'
);
update public.users set deleted_at = now() where id = 'aaaaaaaa-0000-4000-8000-000000000001';
select throws_ok(
    $$ select rendio.refuse_entry('aaaaaaaa-0000-4000-8000-000000000001', -4, '2026-11-05 12:00+00') $$,
    'PT404', 'user_not_found', 'and a deleted one is nobody, merged before or not'
);

select * from finish();
rollback;
