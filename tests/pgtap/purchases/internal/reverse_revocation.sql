-- The store takes a refund back: what is owed is given up first, then what others paid comes back,
-- then what was taken of the purchase itself.
begin;
select plan(24);

create function pg_temp.revert(p_user_id uuid, p_revoked bigint, p_is_sandbox boolean default false)
returns bigint language sql volatile as $$
    select rendio.reverse_revocation(r, p_revoked, '2030-01-16 08:00:00+00', p_is_sandbox)
    from public.purchase_revocations as r
    where r.user_id = p_user_id and r.created_at = '2030-01-15';
$$;
create temp view account as
select left(u.id::text, 1) as who, r.revoked, r.recovered, r.repaid,
    u.is_blocked, u.credits_remaining::bigint as credits
from public.users as u join public.purchase_revocations as r on r.user_id = u.id
where r.created_at = '2030-01-15';

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
-- Ada has 10 and bought 20 (entry 2), spent 20 and had all 20 refunded: 10 are owed. So has Ben,
-- who owes 30 for another purchase.
do $$
declare
    v_user record;
begin
    perform rendio.ensure_partitions();
    for v_user in
        select * from (values
            ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, 'ada-phone'),
            ('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone')
        ) as u (id, device)
    loop
        perform public.device_check(v_user.id, v_user.device);
        perform public.record_iap_purchase(v_user.id, 'app_store', 'Production', v_user.device,
            'credits_20');
        perform public.add_credits(v_user.id, -20, 'admin_adjustment', gen_random_uuid());
        insert into public.purchase_revocations (user_id, origin, revoked, policy, created_at)
        select user_id, origin, 20, 'block', '2030-01-15' from public.credit_grants
        where user_id = v_user.id and seq = 2;
        perform rendio.collect_debts(v_user.id, rendio.clock());
    end loop;
    insert into public.purchase_revocations (user_id, origin, revoked, policy, created_at) values
    ('bbbbbbbb-0000-4000-8000-000000000001', gen_random_uuid(), 30, 'debt', '2030-01-14');
end $$;
select results_eq(
    $$ select * from account where who = 'a' $$,
    $$ values ('a', 20::bigint, 10::bigint, 0::bigint, true, 0::bigint) $$, 'Ada is blocked'
);

select is(
    pg_temp.revert('aaaaaaaa-0000-4000-8000-000000000001', 11), 0::bigint,
    'nine fewer are taken back'
);
select results_eq(
    $$ select * from account where who = 'a' $$,
    $$ values ('a', 11::bigint, 10::bigint, 0::bigint, true, 0::bigint) $$, 'nine fewer are owed'
);
select is(
    pg_temp.revert('aaaaaaaa-0000-4000-8000-000000000001', 10), 0::bigint, 'one fewer'
);
select results_eq(
    $$ select * from account where who = 'a' $$,
    $$ values ('a', 10::bigint, 10::bigint, 0::bigint, false, 0::bigint) $$,
    'nothing is owed; she gets nothing, but may spend'
);
select is(
    pg_temp.revert('aaaaaaaa-0000-4000-8000-000000000001', 3), 7::bigint, 'seven fewer'
);
select is(
    pg_temp.revert('aaaaaaaa-0000-4000-8000-000000000001', 0), 3::bigint, 'and none at all'
);
select results_eq(
    $$ select * from account where who = 'a' $$,
    $$ values ('a', 0::bigint, 0::bigint, 0::bigint, false, 10::bigint) $$, 'are hers again'
);
select results_eq(
    $$ select q.seq, q.change::bigint, q.reason::text, q.created_at, g.amount, g.kind, g.expires_at,
           g.origin = p.id
       from public.quota_log as q
       join public.credit_grants as g using (user_id, seq)
       join public.quota_log as p on p.user_id = q.user_id and p.seq = 2
       where q.user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and q.seq > 4 order by q.seq $$,
    $$ values
       (5::bigint, 7::bigint, 'iap_refund_reversed', timestamptz '2030-01-16 08:00:00+00',
        7::bigint, 'paid', timestamptz 'infinity', true),
       (6, 3, 'iap_refund_reversed', '2030-01-16 08:00:00+00', 3, 'paid', 'infinity', true) $$,
    'as what they were: paid, and of the same purchase'
);

-- Ben's other debt is paid from what comes back.
select is(
    pg_temp.revert('bbbbbbbb-0000-4000-8000-000000000001', 0), 10::bigint, 'Ben gets ten back'
);
select results_eq(
    $$ select * from account where who = 'b' $$,
    $$ values ('b', 0::bigint, 0::bigint, 0::bigint, false, 0::bigint) $$, 'and has none'
);
select is(
    rendio.credits_owed('bbbbbbbb-0000-4000-8000-000000000001'), 20::bigint,
    'they pay what he owes for another purchase'
);

-- Cyd bought in the sandbox.
do $$
declare
    v_cyd uuid := 'cccccccc-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_cyd, 'cyd-phone');
    perform public.record_iap_purchase(v_cyd, 'app_store', 'Sandbox', '1', 'credits_20');
    insert into public.purchase_revocations (user_id, origin, revoked, policy, created_at)
    select user_id, origin, 20, 'forgive', '2030-01-15' from public.credit_grants
    where user_id = v_cyd and seq = 2;
    perform rendio.collect_debts(v_cyd, rendio.clock());
end $$;
select is(
    pg_temp.revert('cccccccc-0000-4000-8000-000000000001', 0, true), 20::bigint,
    'what the sandbox gives back'
);
select results_eq(
    $$ select q.is_sandbox, g.is_sandbox, g.kind from public.quota_log as q
       join public.credit_grants as g using (user_id, seq)
       where q.user_id = 'cccccccc-0000-4000-8000-000000000001' and q.seq = 4 $$,
    $$ values (true, true, 'promotional') $$, 'is the sandbox''s'
);
select results_eq(
    $$ select who, revoked, recovered from account order by who $$,
    $$ values ('a', 0::bigint, 0::bigint), ('b', 0, 0), ('c', 0, 0) $$,
    'each reversal was about one purchase'
);

-- Dan has 10 and bought 20 (entry 2), of which 5 were left for the refund; his next purchase paid
-- the other 15.
do $$
declare
    v_dan uuid := 'dddddddd-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_dan, 'dan-phone');
    perform public.record_iap_purchase(v_dan, 'app_store', 'Production', '2', 'credits_20');
    perform public.add_credits(v_dan, -25, 'admin_adjustment', gen_random_uuid());
    insert into public.purchase_revocations (user_id, origin, revoked, policy, created_at)
    select user_id, origin, 20, 'debt', '2030-01-15' from public.credit_grants
    where user_id = v_dan and seq = 2;
    perform rendio.collect_debts(v_dan, rendio.clock());
    perform public.record_iap_purchase(v_dan, 'app_store', 'Production', '3', 'credits_50');
end $$;
select results_eq(
    $$ select * from account where who = 'd' $$,
    $$ values ('d', 20::bigint, 5::bigint, 15::bigint, false, 35::bigint) $$, 'Dan owes nothing'
);
select is(
    pg_temp.revert('dddddddd-0000-4000-8000-000000000001', 12), 8::bigint, 'eight fewer'
);
select results_eq(
    $$ select * from account where who = 'd' $$,
    $$ values ('d', 12::bigint, 5::bigint, 7::bigint, false, 43::bigint) $$,
    'are given back by what others paid'
);
select is(
    pg_temp.revert('dddddddd-0000-4000-8000-000000000001', 2), 10::bigint, 'ten fewer'
);
select results_eq(
    $$ select * from account where who = 'd' $$,
    $$ values ('d', 2::bigint, 2::bigint, 0::bigint, false, 53::bigint) $$,
    'are the rest of that, and three of the purchase itself'
);
select results_eq(
    $$ select q.change::bigint, q.reason::text, q.created_at, g.kind, g.origin = p.id,
           g.origin = q.id
       from public.quota_log as q
       join public.credit_grants as g using (user_id, seq)
       join public.quota_log as p on p.user_id = q.user_id and p.seq = 2
       where q.user_id = 'dddddddd-0000-4000-8000-000000000001' and q.seq > 6 order by q.seq $$,
    $$ values
       (8::bigint, 'iap_refund_reversed', timestamptz '2030-01-16 08:00:00+00', 'paid', true,
        false),
       (10, 'iap_refund_reversed', '2030-01-16 08:00:00+00', 'paid', true, false) $$,
    'whoever paid, it is bought, and of this purchase'
);

-- The store takes all of it once more.
do $$ begin
    update public.purchase_revocations set revoked = 20
    where user_id = 'dddddddd-0000-4000-8000-000000000001';
    perform rendio.collect_debts('dddddddd-0000-4000-8000-000000000001', '2030-01-17');
end $$;
select results_eq(
    $$ select * from account where who = 'd' $$,
    $$ values ('d', 20::bigint, 20::bigint, 0::bigint, false, 35::bigint) $$,
    'then the purchase gives all that came back'
);
select is(
    pg_temp.revert('dddddddd-0000-4000-8000-000000000001', 0), 20::bigint,
    'and it comes back again'
);

select is_empty(
    $$ select * from public.reconcile_credits()
       where problem <> 'revocation_differs_from_notification' $$,
    'the books agree, but for debts of which no store has told'
);

select * from finish();
rollback;
