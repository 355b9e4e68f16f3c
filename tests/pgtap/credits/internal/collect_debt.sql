-- What one refunded purchase owes is taken as far as it is there.
begin;
select plan(30);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
-- Of the purchase's debt, made what it is said to be, as much as there is.
create function pg_temp.collect(
    p_user_id uuid, p_purchase bigint, p_revoked bigint, p_recovered bigint, p_policy text,
    p_paid_seq bigint default null, p_at timestamptz default '2030-01-16 08:00:00+00',
    p_repaid bigint default 0, p_waived bigint default 0
) returns bigint language plpgsql as $$
declare
    v_debt public.purchase_revocations;
begin
    insert into public.purchase_revocations as r (
        user_id, origin, revoked, recovered, repaid, waived, policy, created_at
    )
    select p_user_id, g.origin, p_revoked, p_recovered, p_repaid, p_waived, p_policy, p_at
    from public.credit_grants as g
    where g.user_id = p_user_id and g.seq = p_purchase
    on conflict (user_id, origin) do update
    set revoked = p_revoked, recovered = p_recovered, repaid = p_repaid, waived = p_waived,
        policy = p_policy
    returning * into v_debt;
    return rendio.collect_debt(v_debt, p_at, p_paid_seq);
end $$;
create function pg_temp.noted(p_user_id uuid, p_purchase bigint)
returns table (recovered bigint, repaid bigint)
language sql stable as $$
    select r.recovered, r.repaid
    from public.purchase_revocations as r
    join public.credit_grants as g using (user_id, origin)
    where r.user_id = p_user_id and g.seq = p_purchase;
$$;
create function pg_temp.taken(p_user_id uuid, p_after bigint)
returns table (seq bigint, change bigint, reason text, lot_seq bigint, is_sandbox boolean)
language sql stable as $$
    select q.seq, q.change, q.reason, q.lot_seq, q.is_sandbox from public.quota_log as q
    where q.user_id = p_user_id and q.seq > p_after order by q.seq;
$$;

-- Ada was given 10, bought 20 and 50, spent 12 (what was given goes first), and bought 20 in the
-- sandbox.
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_ada, 'ada-phone');
    perform public.record_iap_purchase(v_ada, 'app_store', 'Production', '1', 'credits_20');
    perform public.record_iap_purchase(v_ada, 'app_store', 'Production', '2', 'credits_50');
    perform public.add_credits(v_ada, -12, 'admin_adjustment', gen_random_uuid());
    perform public.record_iap_purchase(v_ada, 'app_store', 'Sandbox', '3', 'credits_20');
end $$;
select is(
    pg_temp.collect('aaaaaaaa-0000-4000-8000-000000000001', 2, 12, 5, 'debt'), 7::bigint,
    'of a purchase what is owed and no more'
);
select results_eq(
    $$ select * from pg_temp.taken('aaaaaaaa-0000-4000-8000-000000000001', 5) $$,
    $$ values (6::bigint, -7::bigint, 'iap_refund', 2::bigint, false) $$,
    'the entry names its lot'
);
select results_eq(
    $$ select created_at, lot_n, job_id from public.quota_log
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq = 6 $$,
    $$ values (timestamptz '2030-01-16 08:00:00+00', 1::smallint, null::uuid) $$,
    'at the time that was given'
);
select results_eq(
    $$ select * from pg_temp.noted('aaaaaaaa-0000-4000-8000-000000000001', 2) $$,
    $$ values (12::bigint, 0::bigint) $$, 'with the five before it, all is recovered'
);
select is(
    pg_temp.collect('aaaaaaaa-0000-4000-8000-000000000001', 2, 100, 0, 'block'), 11::bigint,
    'or what is left: two were spent, seven taken'
);
select is(
    pg_temp.collect('aaaaaaaa-0000-4000-8000-000000000001', 2, 100, 0, 'block'), 0::bigint,
    'then nothing, though she has other credits'
);
select is_empty(
    $$ select * from pg_temp.taken('aaaaaaaa-0000-4000-8000-000000000001', 7) $$,
    'which writes no entry'
);

-- The purchase is empty; another may pay, if it is told which, if it is paid, if policy says so.
select is(
    pg_temp.collect('aaaaaaaa-0000-4000-8000-000000000001', 2, 40, 20, 'forgive', 3), 0::bigint,
    'what is forgiven nobody else pays'
);
select is(
    pg_temp.collect('aaaaaaaa-0000-4000-8000-000000000001', 2, 40, 20, 'debt', 5), 0::bigint,
    'the sandbox pays for nothing'
);
select is(
    pg_temp.collect('aaaaaaaa-0000-4000-8000-000000000001', 2, 40, 20, 'debt', 3), 20::bigint,
    'a purchase pays a debt'
);
select results_eq(
    $$ select * from pg_temp.noted('aaaaaaaa-0000-4000-8000-000000000001', 2) $$,
    $$ values (20::bigint, 20::bigint) $$, 'which repays it, but recovers nothing of its own'
);
select is(
    pg_temp.collect('aaaaaaaa-0000-4000-8000-000000000001', 2, 26, 20, 'block', 3), 6::bigint,
    'and one that blocks'
);
select is(
    pg_temp.collect('aaaaaaaa-0000-4000-8000-000000000001', 5, 8, 0, 'forgive'), 8::bigint,
    'the sandbox gives back its own'
);
select results_eq(
    $$ select * from pg_temp.taken('aaaaaaaa-0000-4000-8000-000000000001', 7) $$,
    $$ values (8::bigint, -20::bigint, 'iap_refund', 3::bigint, false),
       (9, -6, 'iap_refund', 3, false), (10, -8, 'iap_refund', 5, true) $$,
    'each is taken from where it was, and the sandbox''s stays the sandbox''s'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    36::bigint, 'what she did not owe is still hers'
);

-- Ben's purchase was taken back once, given back, and is taken back again; he has bought another.
do $$
declare
    v_ben uuid := 'bbbbbbbb-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_ben, 'ben-phone');
    perform public.record_iap_purchase(v_ben, 'app_store', 'Production', '4', 'credits_20');
    perform pg_temp.collect(v_ben, 2, 8, 0, 'debt');
    perform rendio.post_entry(v_ben, 8, 'iap_refund_reversed', null, rendio.clock(),
        p_origin => (select origin from public.credit_grants where user_id = v_ben and seq = 2));
    perform public.record_iap_purchase(v_ben, 'app_store', 'Production', '5', 'credits_20');
    perform public.record_iap_purchase(v_ben, 'app_store', 'Production', '6', 'credits_20');
end $$;
select is(
    pg_temp.collect('bbbbbbbb-0000-4000-8000-000000000001', 2, 1, 0, 'debt', 5), 1::bigint,
    'where there is enough it ends'
);
select is(
    pg_temp.collect('bbbbbbbb-0000-4000-8000-000000000001', 2, 27, 1, 'debt', 5), 26::bigint,
    'all of it is found'
);
select results_eq(
    $$ select * from pg_temp.taken('bbbbbbbb-0000-4000-8000-000000000001', 6) $$,
    $$ values (7::bigint, -1::bigint, 'iap_refund', 2::bigint, false),
       (8, -11, 'iap_refund', 2, false), (9, -8, 'iap_refund', 4, false),
       (10, -7, 'iap_refund', 5, false) $$,
    'its own lots first, the older before the newer, then what pays; the last one is not asked'
);
select results_eq(
    $$ select * from pg_temp.noted('bbbbbbbb-0000-4000-8000-000000000001', 2) $$,
    $$ values (20::bigint, 7::bigint) $$, 'and each is noted as what it is'
);

-- Cyd's purchase ends the day before.
do $$
declare
    v_cyd uuid := 'cccccccc-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_cyd, 'cyd-phone');
    perform public.record_iap_purchase(v_cyd, 'app_store', 'Production', '7', 'credits_20');
    update public.credit_grants set expires_at = '2030-01-20' where user_id = v_cyd and seq = 2;
    update public.users set next_expiry_at = '2030-01-20' where id = v_cyd;
end $$;
select is(
    pg_temp.collect('cccccccc-0000-4000-8000-000000000001', 2, 20, 0, 'debt',
        p_at => '2030-01-21 08:00:00+00'),
    0::bigint, 'what has ended pays nothing'
);
select results_eq(
    $$ select * from pg_temp.taken('cccccccc-0000-4000-8000-000000000001', 2) $$,
    $$ values (3::bigint, -20::bigint, 'credit_expired', 2::bigint, false) $$,
    'it is lost, and the ledger says how'
);

-- Dan has four of his 20 left, and another 50. Of the refund some was forgiven.
do $$
declare
    v_dan uuid := 'dddddddd-0000-4000-8000-000000000001';
begin
    perform public.device_check(v_dan, 'dan-phone');
    perform public.record_iap_purchase(v_dan, 'app_store', 'Production', '8', 'credits_20');
    perform public.add_credits(v_dan, -26, 'admin_adjustment', gen_random_uuid());
    perform public.record_iap_purchase(v_dan, 'app_store', 'Production', '9', 'credits_50');
end $$;
select is(
    pg_temp.collect('dddddddd-0000-4000-8000-000000000001', 2, 17, 0, 'debt', 4, p_repaid => 16,
        p_waived => 1),
    1::bigint, 'what is its own is taken though it was forgiven'
);
select is(
    pg_temp.collect('dddddddd-0000-4000-8000-000000000001', 2, 20, 0, 'debt', 4, p_waived => 18),
    3::bigint, 'to the last; where more was forgiven than others would pay they pay nothing'
);
select results_eq(
    $$ select * from pg_temp.noted('dddddddd-0000-4000-8000-000000000001', 2) $$,
    $$ values (3::bigint, 0::bigint) $$, 'which is recovered'
);
select is(
    pg_temp.collect('dddddddd-0000-4000-8000-000000000001', 2, 20, 4, 'block', 4, p_waived => 16),
    0::bigint, 'all is forgiven: others pay nothing'
);
select is(
    pg_temp.collect('dddddddd-0000-4000-8000-000000000001', 2, 20, 4, 'block', 4, p_repaid => 3,
        p_waived => 10),
    3::bigint, 'ten are: others pay the rest'
);
select results_eq(
    $$ select * from pg_temp.noted('dddddddd-0000-4000-8000-000000000001', 2) $$,
    $$ values (4::bigint, 6::bigint) $$, 'on top of what they paid before'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'dddddddd-0000-4000-8000-000000000001'),
    47::bigint, 'the other purchase lost no more'
);
select is(
    pg_temp.collect('dddddddd-0000-4000-8000-000000000001', 4, 12, 0, 'debt', 4, p_waived => 5),
    12::bigint, 'a purchase that is both pays as its own'
);

-- No store said so, and this story keeps the revocations itself.
select is_empty(
    $$ select * from public.reconcile_credits() where problem not like 'revocation%' $$,
    'the books agree'
);

select * from finish();
rollback;
