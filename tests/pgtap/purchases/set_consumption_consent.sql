-- A user says whether a store may know how much of a purchase was used.
begin;
select plan(20);

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
create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2030-01-15 08:00:00+00';
do $$ begin
    perform rendio.ensure_partitions();
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
end $$;

-- Ada agrees, twice.
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select is(
    public.set_consumption_consent('aaaaaaaa-0000-4000-8000-000000000001', true),
    '{"consented": true, "replayed": false}', 'Ada agrees'
);
set local story.now = '2030-01-16 08:00:00+00';
select is(
    public.set_consumption_consent('aaaaaaaa-0000-4000-8000-000000000001', true),
    '{"consented": true, "replayed": true}', 'and says so again'
);
reset role;
select results_eq(
    $$ select user_id, consented_at from public.consumption_consents $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid,
        timestamptz '2030-01-15 08:00:00+00') $$,
    'she alone, since the first time'
);
select is(
    pg_temp.rows_written_by($$ select public.set_consumption_consent(
        'aaaaaaaa-0000-4000-8000-000000000001', true) $$),
    0::bigint, 'a repeated yes writes nothing'
);

-- Ben refuses what nobody asked; the service records a yes for him.
set local role service_role;
select is(
    public.set_consumption_consent('bbbbbbbb-0000-4000-8000-000000000001', false),
    '{"consented": false, "replayed": true}', 'Ben has not agreed so far'
);
select is(
    public.set_consumption_consent('bbbbbbbb-0000-4000-8000-000000000001', true),
    '{"consented": true, "replayed": false}', 'the service may speak for him'
);
reset role;

-- Ada changes her mind.
set local role authenticated;
select is(
    public.set_consumption_consent('aaaaaaaa-0000-4000-8000-000000000001', false),
    '{"consented": false, "replayed": false}', 'Ada withdraws'
);
select is(
    public.set_consumption_consent('aaaaaaaa-0000-4000-8000-000000000001', false),
    '{"consented": false, "replayed": true}', 'and says so again'
);
reset role;
select results_eq(
    $$ select user_id from public.consumption_consents $$,
    $$ values ('bbbbbbbb-0000-4000-8000-000000000001'::uuid) $$, 'hers is gone, Ben''s is not'
);
select is(
    pg_temp.rows_written_by($$ select public.set_consumption_consent(
        'aaaaaaaa-0000-4000-8000-000000000001', false) $$),
    0::bigint, 'a repeated no writes nothing'
);

-- What is refused.
set local role authenticated;
select throws_ok(
    $$ select public.set_consumption_consent('bbbbbbbb-0000-4000-8000-000000000001', false) $$,
    'PT403', 'not_your_account', 'Ada does not speak for Ben'
);
select throws_ok(
    $$ select public.set_consumption_consent(null, true) $$,
    'PT403', 'not_your_account', 'nor for nobody'
);
select throws_ok(
    $$ select public.set_consumption_consent('aaaaaaaa-0000-4000-8000-000000000001', null) $$,
    'PT400', 'invalid_argument', 'yes or no'
);
set local request.jwt.claims = '{"sub": "99999999-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.set_consumption_consent('99999999-0000-4000-8000-000000000001', true) $$,
    'PT404', 'user_not_found', 'a login without an account has bought nothing'
);
set local request.jwt.claims = '{"sub": "not a user"}';
select throws_ok(
    $$ select public.set_consumption_consent('aaaaaaaa-0000-4000-8000-000000000001', true) $$,
    'PT401', 'not_authenticated', 'without an identity nobody speaks'
);
set local role service_role;
select throws_ok(
    $$ select public.set_consumption_consent(null, true) $$,
    'PT400', 'invalid_argument', 'the service must say for whom'
);
set local role anon;
select throws_ok(
    $$ select public.set_consumption_consent('aaaaaaaa-0000-4000-8000-000000000001', true) $$,
    '42501', null, 'anon may not call it'
);
reset role;
select is(
    (select count(*) from public.consumption_consents), 1::bigint, 'what was refused is not kept'
);

-- Ben deletes his account.
do $$ begin perform public.delete_account('bbbbbbbb-0000-4000-8000-000000000001'); end $$;
select is_empty('select * from public.consumption_consents', 'his consent goes with it');
select throws_ok(
    $$ select public.set_consumption_consent('bbbbbbbb-0000-4000-8000-000000000001', true) $$,
    'PT404', 'user_not_found', 'and cannot be given again'
);

select * from finish();
rollback;
