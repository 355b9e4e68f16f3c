-- What kind of credits came: bought ones are spent last, and sandbox ones were not bought.
begin;
select plan(4);

insert into public.users (id, ledger_at)
values ('aaaaaaaa-0000-4000-8000-000000000001', '2026-11-05 12:00+00');
do $$
declare
    v_user public.users;
    v_entry public.quota_log;
begin
    select * into v_user from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001';
    v_entry.user_id := v_user.id;
    v_entry.created_at := '2026-11-05 12:00+00';
    for v_entry.seq, v_entry.change, v_entry.reason, v_entry.is_sandbox in
        values (1, 10, 'initial_grant', false), (2, 20, 'iap_purchase', false),
            (3, 30, 'iap_purchase', true), (4, 40, 'iap_refund_reversed', false)
    loop
        v_entry.id := format('cccccccc-0000-4000-8000-00000000000%s', v_entry.seq);
        perform rendio.open_lot(v_user, v_entry,
            case v_entry.seq when 1 then timestamptz '2026-12-05 12:00+00' end,
            case v_entry.seq when 4 then 'cccccccc-0000-4000-8000-000000000002'::uuid end);
    end loop;
end $$;

select results_eq(
    $$ select seq, n, amount, remaining, kind, priority, is_sandbox, expires_at, created_at,
           right(origin::text, 1)
       from public.credit_grants order by seq $$,
    $$ values
       (1::bigint, 1::smallint, 10::bigint, 10::bigint, 'promotional', 10::smallint, false,
        timestamptz '2026-12-05 12:00+00', timestamptz '2026-11-05 12:00+00', '1'),
       (2, 1::smallint, 20, 20, 'paid', 20::smallint, false,
        'infinity', '2026-11-05 12:00+00', '2'),
       (3, 1::smallint, 30, 30, 'promotional', 10::smallint, true,
        'infinity', '2026-11-05 12:00+00', '3'),
       (4, 1::smallint, 40, 40, 'paid', 20::smallint, false,
        'infinity', '2026-11-05 12:00+00', '2') $$,
    'promotional first, paid last, a sandbox purchase is no payment; each knows its entry, or
    the one that it gives back'
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
