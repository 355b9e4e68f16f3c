-- What kind of credits came: bought ones are spent last, and sandbox ones were not bought.
begin;
select plan(1);

insert into public.users (id, ledger_seq) values ('aaaaaaaa-0000-4000-8000-000000000001', 9);
do $$ begin
    perform rendio.open_lot('aaaaaaaa-0000-4000-8000-000000000001', 1, 10, 'initial_grant',
        '2026-11-05 12:00+00', false);
    perform rendio.open_lot('aaaaaaaa-0000-4000-8000-000000000001', 2, 20, 'iap_purchase',
        '2026-11-05 12:00+00', false);
    perform rendio.open_lot('aaaaaaaa-0000-4000-8000-000000000001', 3, 30, 'iap_purchase',
        '2026-11-05 12:00+00', true);
end $$;

select results_eq(
    $$ select seq, n, amount, remaining, kind, priority, is_sandbox, expires_at, created_at,
           voided_at
       from public.credit_grants order by seq $$,
    $$ values
       (1::bigint, 1::smallint, 10::bigint, 10::bigint, 'promotional', 10::smallint, false,
        timestamptz 'infinity', timestamptz '2026-11-05 12:00+00', null::timestamptz),
       (2, 1::smallint, 20, 20, 'paid', 20::smallint, false,
        'infinity', '2026-11-05 12:00+00', null),
       (3, 1::smallint, 30, 30, 'promotional', 10::smallint, true,
        'infinity', '2026-11-05 12:00+00', null) $$,
    'promotional first, paid last, a sandbox purchase is no payment'
);

select * from finish();
rollback;
