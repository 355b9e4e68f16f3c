-- The credits of a deleted account are lost, all of them, and the ledger says so.
begin;
select plan(6);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_ada, 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.add_credits(v_ada, 5, 'promo_grant', gen_random_uuid(), '2030-01-16');
    perform public.record_iap_purchase(v_ada, 'app_store', 'Production', '2000001', 'credits_20');
    perform rendio.forfeit_credits(v_ada, '2030-01-17 08:00:00+00');
end $$;

select results_eq(
    $$ select seq, change::bigint, balance_after::bigint, reason::text, lot_seq, created_at
       from public.quota_log
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq > 3 order by seq $$,
    $$ values
       (4::bigint, -5::bigint, 30::bigint, 'credit_expired', 2::bigint,
        timestamptz '2030-01-17 08:00:00+00'),
       (5, -30, 0, 'credit_expired', null, '2030-01-17 08:00:00+00') $$,
    'first what had expired anyway, from its lot, then the rest, bought credits included'
);
select results_eq(
    $$ select credits_remaining::bigint, credits_total::bigint from public.users
       where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$,
    $$ values (0::bigint, 35::bigint) $$, 'nothing is left; what was given stays given'
);
do $$ begin perform rendio.fold_lots('aaaaaaaa-0000-4000-8000-000000000001'); end $$;
select is(
    (select sum(remaining) from public.credit_grants
     where user_id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    0::numeric, 'the lots are empty'
);

do $$ begin
    perform rendio.forfeit_credits('aaaaaaaa-0000-4000-8000-000000000001',
        '2030-01-17 08:00:00+00');
end $$;
select is(
    (select ledger_seq from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    5::bigint, 'who has nothing loses nothing'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'bbbbbbbb-0000-4000-8000-000000000001'),
    10::bigint, 'Ben keeps his'
);
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
