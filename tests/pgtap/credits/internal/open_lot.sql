-- What kind of credits came: bought ones are spent last, and sandbox ones were not bought.
begin;
select plan(4);

insert into public.users (id, ledger_at)
values ('aaaaaaaa-0000-4000-8000-000000000001', '2026-11-05 12:00+00');
do $$
declare
    v_user public.users;
begin
    select * into v_user from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001';
    v_user.ledger_seq := 1;
    perform rendio.open_lot(v_user, 10, 'initial_grant', false, '2026-12-05 12:00+00');
    v_user.ledger_seq := 2;
    perform rendio.open_lot(v_user, 20, 'iap_purchase', false, null);
    v_user.ledger_seq := 3;
    perform rendio.open_lot(v_user, 30, 'iap_purchase', true, null);
end $$;

select results_eq(
    $$ select seq, n, amount, remaining, kind, priority, is_sandbox, expires_at, created_at,
           voided_seq
       from public.credit_grants order by seq $$,
    $$ values
       (1::bigint, 1::smallint, 10::bigint, 10::bigint, 'promotional', 10::smallint, false,
        timestamptz '2026-12-05 12:00+00', timestamptz '2026-11-05 12:00+00', null::bigint),
       (2, 1::smallint, 20, 20, 'paid', 20::smallint, false,
        'infinity', '2026-11-05 12:00+00', null),
       (3, 1::smallint, 30, 30, 'promotional', 10::smallint, true,
        'infinity', '2026-11-05 12:00+00', null) $$,
    'promotional first, paid last, a sandbox purchase is no payment'
);

-- Ben spends a credit at a time; grants come seldom.
do $$ begin
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 200, 'promo_grant',
        gen_random_uuid());
    for n in 1..97 loop
        perform public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', -1, 'admin_adjustment',
            gen_random_uuid());
    end loop;
    perform public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 1, 'promo_grant',
        gen_random_uuid());
end $$;
select results_eq(
    $$ select ledger_seq, lots_seq from public.users
       where id = 'bbbbbbbb-0000-4000-8000-000000000001' $$,
    $$ values (100::bigint, 0::bigint) $$, 'a hundred entries are few enough'
);
do $$ begin
    perform public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 1, 'promo_grant',
        gen_random_uuid());
end $$;
select results_eq(
    $$ select ledger_seq, lots_seq from public.users
       where id = 'bbbbbbbb-0000-4000-8000-000000000001' $$,
    $$ values (101::bigint, 101::bigint) $$, 'with one more the next grant folds them'
);
select results_eq(
    $$ select seq, remaining from public.credit_grants
       where user_id = 'bbbbbbbb-0000-4000-8000-000000000001' order by seq $$,
    $$ values (1::bigint, 0::bigint), (2, 113), (100, 1), (101, 1) $$,
    'the new lot included'
);

select * from finish();
rollback;
