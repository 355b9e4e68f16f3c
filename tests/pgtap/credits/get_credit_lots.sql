-- What Ada has, lot by lot, in the order in which it will be spent.
begin;
set local timezone = 'UTC';
select plan(14);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;

-- 10 at first, 20 bought, 50 in the sandbox, 5 that end on 1 February.
set local story.now = '2030-01-15 08:00:00+00';
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_ada, 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.record_iap_purchase(v_ada, 'app_store', 'Production', '2000001', 'credits_20');
    perform public.record_iap_purchase(v_ada, 'app_store', 'Sandbox', '2000001', 'credits_50');
    perform public.add_credits(v_ada, 5, 'promo_grant', gen_random_uuid(), '2030-02-01');
end $$;
create function pg_temp.lots() returns setof text language sql as $$
    select concat_ws(' ', l ->> 'seq', l ->> 'kind', l ->> 'remaining')
    from jsonb_array_elements(
        public.get_credit_lots('aaaaaaaa-0000-4000-8000-000000000001') -> 'lots'
    ) with ordinality as t (l, n) order by n;
$$;

set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is(
    public.get_credit_lots('aaaaaaaa-0000-4000-8000-000000000001'),
    '{"credits_remaining": 85, "lots": [
        {"seq": 4, "n": 1, "kind": "promotional", "amount": 5, "remaining": 5, "is_sandbox": false,
         "expires_at": "2030-02-01T00:00:00+00:00", "created_at": "2030-01-15T08:00:00+00:00"},
        {"seq": 1, "n": 1, "kind": "promotional", "amount": 10, "remaining": 10,
         "is_sandbox": false, "expires_at": null, "created_at": "2030-01-15T08:00:00+00:00"},
        {"seq": 3, "n": 1, "kind": "promotional", "amount": 50, "remaining": 50,
         "is_sandbox": true, "expires_at": null, "created_at": "2030-01-15T08:00:00+00:00"},
        {"seq": 2, "n": 1, "kind": "paid", "amount": 20, "remaining": 20, "is_sandbox": false,
         "expires_at": null, "created_at": "2030-01-15T08:00:00+00:00"}
    ]}',
    'what ends first, then the older promotional ones, what was bought last'
);

-- She asks for two videos at 4.
do $$ begin
    perform public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
        '5f3b1e70-0000-4000-8000-000000000001', prompt, null, gen_random_uuid())
    from (values ('A boat.'), ('A train.')) as t (prompt);
end $$;
select results_eq(
    'select * from pg_temp.lots()',
    array['1 promotional 7', '3 promotional 50', '2 paid 20'],
    'the first lot is empty and gone, the second has paid the rest'
);
reset role;
do $$ begin
    perform rendio.fold_lots('aaaaaaaa-0000-4000-8000-000000000001');
end $$;
select results_eq(
    'select * from pg_temp.lots()',
    array['1 promotional 7', '3 promotional 50', '2 paid 20'],
    'the same when the lots were folded meanwhile'
);

-- On 1 February the first lot is over. One job had drawn four of it, the other one.
set local story.now = '2030-02-01 00:00:00+00';
do $$ begin
    perform public.cancel_video_job(user_id, job_id) from public.video_jobs
    where prompt = 'A train.';
end $$;
select results_eq(
    'select * from pg_temp.lots()',
    array['7 promotional 1', '1 promotional 10', '3 promotional 50', '2 paid 20'],
    'a refund returns three to the second, and one as a lot of its own'
);
select is(
    public.get_credit_lots('aaaaaaaa-0000-4000-8000-000000000001') #>> '{lots,0,expires_at}',
    '2030-02-08T00:00:00+00:00', 'that lives a week'
);
set local story.now = '2030-02-08 00:00:00+00';
select results_eq(
    'select * from pg_temp.lots()',
    array['1 promotional 10', '3 promotional 50', '2 paid 20'],
    'then it is not shown, settled or not'
);
select is(
    public.get_credit_lots('aaaaaaaa-0000-4000-8000-000000000001') -> 'credits_remaining',
    public.get_user_credits('aaaaaaaa-0000-4000-8000-000000000001') -> 'credits_remaining',
    'together they are what she has'
);

-- Who may ask.
set local role authenticated;
select throws_ok(
    $$ select public.get_credit_lots('bbbbbbbb-0000-4000-8000-000000000001') $$,
    'PT403', 'not_your_account', 'Ben''s are not hers to see'
);
set local request.jwt.claims = '';
select throws_ok(
    $$ select public.get_credit_lots('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT401', 'not_authenticated', 'an identity is required'
);
set local role anon;
select throws_ok(
    $$ select public.get_credit_lots('aaaaaaaa-0000-4000-8000-000000000001') $$,
    '42501', null, 'anon may not ask'
);
set local role service_role;
select is(
    public.get_credit_lots('bbbbbbbb-0000-4000-8000-000000000001') #> '{lots,0,remaining}',
    '10', 'the service sees anyone''s'
);
select throws_ok(
    $$ select public.get_credit_lots('99999999-0000-4000-8000-000000000001') $$,
    'PT404', 'user_not_found', 'but not nobody''s'
);
select throws_ok(
    $$ select public.get_credit_lots(null) $$, 'PT400', 'invalid_argument', 'and must say whose'
);
reset role;

insert into public.users (id) values ('cccccccc-0000-4000-8000-000000000001');
select is(
    public.get_credit_lots('cccccccc-0000-4000-8000-000000000001'),
    '{"credits_remaining": 0, "lots": []}', 'who has nothing has no lots'
);

select * from finish();
rollback;
