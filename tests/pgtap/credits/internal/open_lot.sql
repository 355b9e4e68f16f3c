-- What kind of credits came: bought ones are spent last, and sandbox ones were not bought.
begin;
select plan(1);

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

select * from finish();
rollback;
