-- What the stores want to know about purchases whose buyers allow it.
begin;
set local timezone = 'UTC';
select plan(31);

create function pg_temp.rows_written_by(p_call text) returns bigint language plpgsql as $$
declare
    v_before bigint;
    v_after bigint;
begin
    select sum(n_tup_ins + n_tup_upd + n_tup_del) into v_before
    from pg_stat_xact_user_tables where schemaname in ('public', 'rendio');
    execute p_call;
    select sum(n_tup_ins + n_tup_upd + n_tup_del) into v_after
    from pg_stat_xact_user_tables where schemaname in ('public', 'rendio');
    return v_after - v_before;
end $$;
create function pg_temp.ask(
    p_id text, p_transaction_id text, p_at timestamptz, p_environment text default 'Production',
    p_payload jsonb default '{}'
) returns void language plpgsql as $$ begin
    perform public.apply_store_notification('app_store', p_environment, p_id,
        'CONSUMPTION_REQUEST', p_transaction_id, p_payload, p_at);
end $$;
create function pg_temp.listed(p_limit integer default 20) returns text language sql as $$
    select coalesce(string_agg(r ->> 'notification_id', ' ' order by n), '')
    from jsonb_array_elements(public.get_consumption_requests(p_limit) -> 'requests')
        with ordinality as t (r, n);
$$;

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;

-- Ada and Ben have 10 and buy 20; Ada has spent 15.
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
    v_ben uuid := 'bbbbbbbb-0000-4000-8000-000000000001';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_ada, 'ada-phone');
    perform public.device_check(v_ben, 'ben-phone');
    perform public.record_iap_purchase(v_ada, 'app_store', 'Production', 'a1', 'credits_20');
    perform public.record_iap_purchase(v_ben, 'app_store', 'Production', 'b1', 'credits_20');
    perform public.add_credits(v_ada, -15, 'admin_adjustment', gen_random_uuid());
    perform pg_temp.ask('n1', 'a1', '2030-01-15 07:00:00+00',
        p_payload => '{"consumptionRequestReason": "UNINTENDED_PURCHASE"}');
    perform pg_temp.ask('n2', 'b1', '2030-01-15 06:00:00+00');
end $$;
set local role service_role;
select is(
    public.get_consumption_requests(), '{"requests": []}', 'nobody has been asked for consent'
);
reset role;
do $$ begin
    perform public.set_consumption_consent('aaaaaaaa-0000-4000-8000-000000000001', true);
end $$;
set local role service_role;
select is(
    public.get_consumption_requests(),
    '{"requests": [{
        "store": "app_store", "environment": "Production", "notification_id": "n1",
        "transaction_id": "a1", "user_id": "aaaaaaaa-0000-4000-8000-000000000001",
        "reason": "UNINTENDED_PURCHASE", "due_at": "2030-01-15T19:00:00+00:00",
        "customer_consented": true, "credits_added": 20, "credits_consumed": 5,
        "consumption_percentage": 25000}]}',
    'Ada agrees; a quarter of it is used'
);
reset role;
select is(
    pg_temp.rows_written_by($$ select public.get_consumption_requests() $$), 0::bigint,
    'asking writes nothing'
);

-- Ben agrees too; his is older.
do $$ begin
    perform public.set_consumption_consent('bbbbbbbb-0000-4000-8000-000000000001', true);
end $$;
select is(pg_temp.listed(), 'n2 n1', 'the most urgent first');
select is(
    (public.get_consumption_requests() #> '{requests,0}')
        - array['store', 'environment', 'transaction_id', 'user_id', 'due_at'],
    '{"notification_id": "n2", "reason": null, "customer_consented": true, "credits_added": 20,
      "credits_consumed": 0, "consumption_percentage": 0}',
    'of which he used nothing; the store did not say why it asks'
);
select is(pg_temp.listed(1), 'n2', 'as many as are wanted');

-- Further questions: about the same purchase, at the same time, from the sandbox.
do $$ begin
    perform pg_temp.ask('n0', 'a1', '2030-01-15 07:00:00+00');
    perform public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store',
        'Sandbox', 'b2', 'credits_20');
    perform pg_temp.ask('n3', 'b2', '2030-01-15 05:00:00+00', 'Sandbox');
    perform pg_temp.ask('n4', 'b2', '2030-01-15 05:00:00+00', 'Production');
end $$;
select is(
    pg_temp.listed(), 'n3 n2 n0 n1',
    'each once, of one moment by id; about a purchase that is known'
);
do $$ begin
    perform public.record_iap_purchase('bbbbbbbb-0000-4000-8000-000000000001', 'app_store',
        'Production', 'b2', 'credits_20');
end $$;
select is(pg_temp.listed(), 'n3 n4 n2 n0 n1', 'when it is reported, it is known');

-- How much: nothing and all, odd numbers rounded down.
do $$ begin
    insert into public.iap_products (store, environment, product_id, credits)
    values ('app_store', 'Production', 'credits_3', 3);
    perform public.device_check('cccccccc-0000-4000-8000-000000000001', 'cyd-phone');
    perform public.set_consumption_consent('cccccccc-0000-4000-8000-000000000001', true);
    perform public.record_iap_purchase('cccccccc-0000-4000-8000-000000000001', 'app_store',
        'Production', 'c1', 'credits_3');
    perform public.add_credits('cccccccc-0000-4000-8000-000000000001', -11, 'admin_adjustment',
        gen_random_uuid());
    perform pg_temp.ask('c', 'c1', '2030-01-15 04:00:00+00');
end $$;
create temp view cyd as
select r ->> 'credits_consumed' as credits, r ->> 'consumption_percentage' as share
from jsonb_array_elements(public.get_consumption_requests(1) -> 'requests') as r;
select results_eq('select * from cyd', $$ values ('1', '33333') $$, 'a third');
do $$ begin
    perform public.add_credits('cccccccc-0000-4000-8000-000000000001', -2, 'admin_adjustment',
        gen_random_uuid());
end $$;
select results_eq('select * from cyd', $$ values ('3', '100000') $$, 'all');
update public.app_settings set value = '"off"' where key = 'sandbox_purchases';
do $$ begin
    perform public.record_iap_purchase('cccccccc-0000-4000-8000-000000000001', 'app_store',
        'Sandbox', 'c2', 'credits_20');
    perform pg_temp.ask('d', 'c2', '2030-01-15 03:00:00+00', 'Sandbox');
end $$;
select results_eq('select * from cyd', $$ values ('0', '0') $$, 'nothing of nothing');

-- What is answered, or withdrawn, or forgotten, is listed no more.
do $$ begin
    perform public.answer_consumption_request('app_store', 'Production', 'n1');
    perform public.answer_consumption_request('app_store', 'Sandbox', 'n3');
end $$;
select is(pg_temp.listed(), 'd c n4 n2 n0', 'what is answered is');
do $$ begin
    perform public.set_consumption_consent('bbbbbbbb-0000-4000-8000-000000000001', false);
end $$;
select is(pg_temp.listed(), 'd c n0', 'Ben changes his mind');
do $$ begin perform public.delete_account('cccccccc-0000-4000-8000-000000000001'); end $$;
select is(pg_temp.listed(), 'n0', 'Cyd''s account is gone');

-- Ben buys as a guest and goes into his account, which agrees.
do $$
declare
    v_ben uuid := 'bbbbbbbb-0000-4000-8000-000000000001';
    v_guest uuid := 'bbbbbbbb-0000-4000-8000-000000000002';
begin
    perform public.device_check(v_guest, 'ben-tablet');
    perform public.record_iap_purchase(v_guest, 'app_store', 'Production', 'b3', 'credits_50');
    perform pg_temp.ask('guest', 'b3', '2030-01-15 02:00:00+00');
    perform public.link_apple_account(v_ben, 'ben-sub');
    perform public.link_apple_account(v_guest, 'ben-sub');
end $$;
select is(pg_temp.listed(), 'n0', 'his account has not agreed');
do $$ begin
    perform public.set_consumption_consent('bbbbbbbb-0000-4000-8000-000000000001', true);
end $$;
select is(pg_temp.listed(1), 'guest', 'when it has, it has for the guest');
select is(
    (public.get_consumption_requests(1) #> '{requests,0}')
        - array['store', 'environment', 'transaction_id', 'due_at', 'reason', 'notification_id'],
    '{"user_id": "bbbbbbbb-0000-4000-8000-000000000002", "customer_consented": true,
      "credits_added": 50, "credits_consumed": 0, "consumption_percentage": 0}',
    'who is the buyer'
);

-- The store waits for twelve hours; it is eight o'clock.
do $$ begin
    perform pg_temp.ask('over', 'a1', '2030-01-14 20:00:00+00');
    perform pg_temp.ask('long over', 'a1', '2030-01-13 00:00:00+00');
    perform pg_temp.ask('last', 'a1', '2030-01-14 20:00:00.000001+00');
end $$;
select is(
    pg_temp.listed(), 'last guest n4 n2 n0 long over over',
    'a question is urgent to its last microsecond; then it comes after all others'
);
select is(pg_temp.listed(1), 'last', 'and takes no place from them');

-- Dan buys as a guest, and agrees, before he goes into his account.
do $$
declare
    v_dan uuid := 'dddddddd-0000-4000-8000-000000000001';
    v_guest uuid := 'dddddddd-0000-4000-8000-000000000002';
begin
    perform public.device_check(v_dan, 'dan-phone');
    perform public.device_check(v_guest, 'dan-tablet');
    perform public.record_iap_purchase(v_guest, 'app_store', 'Production', 'd1', 'credits_20');
    perform public.set_consumption_consent(v_guest, true);
    perform pg_temp.ask('dan', 'd1', '2030-01-14 21:00:00+00');
    perform public.link_apple_account(v_dan, 'dan-sub');
    perform public.link_apple_account(v_guest, 'dan-sub');
end $$;
select is(pg_temp.listed(2), 'last dan', 'what the guest agreed to holds for his account');
do $$ begin
    perform public.set_consumption_consent('dddddddd-0000-4000-8000-000000000001', false);
end $$;
select is(pg_temp.listed(2), 'last guest', 'which withdraws it, for what the guest bought too');

-- A page.
select throws_ok(
    format($$ select public.get_consumption_requests(%L) $$, page), 'PT400', 'invalid_argument',
    'not ' || coalesce(page::text, 'null')
)
from unnest(array[0, -1, 101, null]) as page;
select lives_ok($$ select public.get_consumption_requests(100) $$, 'but a hundred');
do $$ begin
    perform pg_temp.ask('many' || i, 'a1', '2030-01-16 00:00:00+00')
    from generate_series(10, 40) as i;
end $$;
select is(
    jsonb_array_length(public.get_consumption_requests() -> 'requests'), 20, 'twenty at first'
);

-- Only the service talks to stores.
set local role anon;
select throws_ok($$ select public.get_consumption_requests() $$, '42501', null, 'anon may not ask');
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok($$ select public.get_consumption_requests() $$, '42501', null, 'nor may Ada');
reset role;
grant execute on function public.get_consumption_requests to authenticated;
set local role authenticated;
select throws_ok(
    $$ select public.get_consumption_requests() $$, 'PT403', 'service_only',
    'not even with the grant'
);
reset role;

select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
