-- The fingerprint of a ledger, which others can compute.
begin;
select plan(12);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;

-- Ada's day: the first credits, some that expire, a job that fails, and the loss of what expired.
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
    v_job uuid;
begin
    perform set_config('story.now', '2030-01-15 08:00:00.000001+00', true);
    perform public.device_check(v_ada, 'ada-phone');
    perform public.add_credits(
        v_ada, 5, 'promo_grant', gen_random_uuid(), '2030-01-15 10:00:00+00'
    );
    perform public.record_iap_purchase(v_ada, 'app_store', 'Sandbox', '2000001', 'credits_20');
    v_job := public.generate_video_atomic(
        v_ada, '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', null, gen_random_uuid()
    ) ->> 'job_id';
    perform set_config('story.job', v_job::text, true);
    perform set_config('story.now', '2030-01-15 09:00:00+00', true);
    perform public.start_video_job(v_ada, v_job, 'fal-1');
    perform public.fail_video_job('fal', 'fal-1', 'out of paint');
    perform set_config('story.now', '2030-01-15 11:00:00+00', true);
    perform public.get_user_credits(v_ada);
    perform rendio.settle_expired_credits();
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
end $$;
insert into public.users (id) values ('cccccccc-0000-4000-8000-000000000001');

set local role service_role;
select is(
    public.ledger_digest('cccccccc-0000-4000-8000-000000000001'),
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    'that of an empty ledger is the digest of nothing'
);
select is(
    public.ledger_digest('bbbbbbbb-0000-4000-8000-000000000001'),
    '1e818fdca6be85f2ab6fce64554ad51deaccba1daf4f7ceab582d24630e6cd7e',
    'that of one entry is known beforehand'
);
reset role;

create function pg_temp.chain(p_lines text []) returns text language plpgsql as $$
declare
    v_digest bytea := sha256('');
    v_line text;
begin
    foreach v_line in array p_lines loop
        v_digest := sha256(v_digest || convert_to(v_line, 'UTF8'));
    end loop;
    return encode(v_digest, 'hex');
end $$;
select is(
    public.ledger_digest('aaaaaaaa-0000-4000-8000-000000000001'),
    pg_temp.chain(
        array[
            '1,10,10,initial_grant,,,,false,1894694400000001',
            '2,5,15,promo_grant,,,,false,1894694400000001',
            '3,20,35,iap_purchase,,,,true,1894694400000001',
            format(
                '4,-4,31,video_generation,%s,,,false,1894694400000001',
                current_setting('story.job')
            ),
            format(
                '5,4,35,generation_failed_refund,%s,,,false,1894698000000000',
                current_setting('story.job')
            ),
            '6,-5,30,credit_expired,,2,1,false,1894705200000000'
        ]
    ),
    'every entry is hashed after the digest of those before it'
);

-- What changes it. The change is undone.
grant update, delete on public.quota_log to rendio_owner;
create function pg_temp.changed_by(p_change text) returns boolean language plpgsql as $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
    v_before text := public.ledger_digest(v_ada);
    v_after text;
begin
    execute 'update public.quota_log set ' || p_change || format(' where user_id = %L', v_ada);
    v_after := public.ledger_digest(v_ada);
    raise sqlstate 'UNDOO';
exception
    when sqlstate 'UNDOO' then
        return v_before <> v_after;
end $$;
select results_eq(
    $$ select c.change from unnest(array[
           'change = change + 1', 'balance_after = balance_after + 1',
           'reason = ''admin_adjustment''', 'job_id = null', 'lot_seq = null', 'lot_n = 2',
           'is_sandbox = not is_sandbox', 'seq = seq + 10', 'user_id = gen_random_uuid()',
           'created_at = created_at + interval ''1 microsecond''', 'id = gen_random_uuid()'
       ]) as c (change)
       where not pg_temp.changed_by(c.change) $$,
    array['id = gen_random_uuid()'],
    'whatever is changed in a ledger changes it, but the names of the entries'
);

-- The same from any session.
set local timezone = 'Asia/Kolkata';
set local datestyle = 'German';
set local extra_float_digits = -15;
select is(
    public.ledger_digest('bbbbbbbb-0000-4000-8000-000000000001'),
    pg_temp.chain(array['1,10,10,initial_grant,,,,false,1894705200000000']),
    'it is the same whatever the session is set to'
);

-- Whose.
select throws_ok(
    $$ select public.ledger_digest('99999999-0000-4000-8000-000000000001') $$,
    'PT404', 'user_not_found', 'who is unknown has none'
);
select throws_ok(
    $$ select public.ledger_digest(null) $$, 'PT400', 'invalid_argument', 'nor has nobody'
);
select isnt(
    public.ledger_digest('bbbbbbbb-0000-4000-8000-000000000001'),
    public.ledger_digest('cccccccc-0000-4000-8000-000000000001'),
    'Ben has one'
);
do $$ begin
    perform public.delete_account('bbbbbbbb-0000-4000-8000-000000000001');
end $$;
select is(
    public.ledger_digest('bbbbbbbb-0000-4000-8000-000000000001'),
    pg_temp.chain(array[
        '1,10,10,initial_grant,,,,false,1894705200000000',
        '2,-10,0,credit_expired,,,,false,1894705200000000'
    ]),
    'and when his account is deleted his ledger has one still'
);

-- Only the service may look.
set local role anon;
select throws_ok(
    $$ select public.ledger_digest('aaaaaaaa-0000-4000-8000-000000000001') $$,
    '42501', null, 'anon may not look'
);
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.ledger_digest('aaaaaaaa-0000-4000-8000-000000000001') $$,
    '42501', null, 'nor may Ada'
);
reset role;
grant execute on function public.ledger_digest to authenticated;
set local role authenticated;
select throws_ok(
    $$ select public.ledger_digest('aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT403', 'service_only', 'not even with the grant'
);
reset role;

select * from finish();
rollback;
