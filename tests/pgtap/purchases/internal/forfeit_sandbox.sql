-- A guest for each sandbox purchase, signed in afterwards, is one cap all the same.
begin;
select plan(8);

-- Ada has had 70 of her 100. A tablet of hers buys 50 and then 20, and spends 5 of the first.
create function pg_temp.guest(p_user_id uuid, p_device text, p_transaction text) returns void
language plpgsql as $$
begin
    perform public.device_check(p_user_id, p_device);
    perform public.add_credits(p_user_id, -10, 'admin_adjustment', gen_random_uuid());
    perform public.record_iap_purchase(
        p_user_id, 'app_store', 'Sandbox', p_transaction || 'a', 'credits_50'
    );
    perform public.record_iap_purchase(
        p_user_id, 'app_store', 'Sandbox', p_transaction || 'b', 'credits_20'
    );
end $$;
do $$ begin
    perform rendio.ensure_partitions();
    perform pg_temp.guest('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone', 'p');
    perform public.link_apple_account(
        'aaaaaaaa-0000-4000-8000-000000000001', 'ada-apple', null
    );
    perform pg_temp.guest('aaaaaaaa-0000-4000-8000-000000000002', 'ada-tablet', 't');
    perform public.add_credits(
        'aaaaaaaa-0000-4000-8000-000000000002', -5, 'admin_adjustment', gen_random_uuid()
    );
    perform public.add_credits(
        'aaaaaaaa-0000-4000-8000-000000000002', 3, 'promo_grant', gen_random_uuid()
    );
    perform public.record_iap_purchase(
        'aaaaaaaa-0000-4000-8000-000000000002', 'app_store', 'Production', 't', 'credits_20'
    );
    perform rendio.forfeit_sandbox(
        'aaaaaaaa-0000-4000-8000-000000000002', 'aaaaaaaa-0000-4000-8000-000000000001',
        rendio.clock()
    );
end $$;
create temp view lost as
select q.change::bigint, q.reason::text, q.is_sandbox, q.lot_seq
from public.quota_log as q
where q.user_id = 'aaaaaaaa-0000-4000-8000-000000000002' and q.seq > 7
order by q.seq;
select results_eq(
    'select * from lost',
    $$ values (-15::bigint, 'credit_expired', true, 3::bigint), (-20, 'credit_expired', true, 4) $$,
    'what there is no room for is lost, the older purchase''s last'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000002'),
    53::bigint, 'what was bought or given elsewhere is not'
);
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');
do $$ begin
    perform public.link_apple_account(
        'aaaaaaaa-0000-4000-8000-000000000002', 'ada-apple', null
    );
end $$;
select results_eq(
    $$ select count(*) from lost where reason = 'credit_expired' $$, $$ values (2::bigint) $$,
    'a second time there is nothing more to lose'
);

-- By the other rules sandbox credits are given without a cap, or not at all.
do $$ begin
    update public.app_settings set value = '"listed"' where key = 'sandbox_purchases';
    update public.app_settings set value = '["bbbbbbbb-0000-4000-8000-000000000001"]'
    where key = 'sandbox_testers';
    perform pg_temp.guest('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone', 'b');
    perform rendio.forfeit_sandbox(
        'bbbbbbbb-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001',
        rendio.clock()
    );
end $$;
select is(
    (select credits_remaining::bigint from public.users
     where id = 'bbbbbbbb-0000-4000-8000-000000000001'),
    70::bigint, 'a tester loses nothing'
);

-- The way round the cap: a new guest on the same phone for each purchase.
update public.app_settings set value = '"capped"' where key = 'sandbox_purchases';
do $$
declare
    v_guest uuid;
begin
    perform public.device_check('cccccccc-0000-4000-8000-000000000001', 'cyd-phone');
    perform public.link_apple_account('cccccccc-0000-4000-8000-000000000001', 'cyd-apple', null);
    for n in 1..5 loop
        v_guest := public.device_check(null, 'cyd-phone-' || n) ->> 'user_id';
        perform public.record_iap_purchase(
            v_guest, 'app_store', 'Sandbox', 'c' || n, 'credits_50'
        );
        perform public.link_apple_account(v_guest, 'cyd-apple', null);
    end loop;
end $$;
select is(
    (select sum(g.remaining) from public.credit_grants as g
     where g.user_id = 'cccccccc-0000-4000-8000-000000000001' and g.is_sandbox),
    100::numeric, 'five guests who bought 50 each bring their account the cap'
);
select is(
    rendio.sandbox_room('cccccccc-0000-4000-8000-000000000001'), 0, 'which is then used up'
);
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree in the end');

select * from finish();
rollback;
