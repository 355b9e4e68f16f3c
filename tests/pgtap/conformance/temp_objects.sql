-- Temporary tables and types named like ours lead no function astray: each RPC is called by a user
-- who made some, in a session that has not called it before.
begin;
select plan(5);

insert into public.users (id, credits_remaining, credits_total)
values ('aaaaaaaa-0000-4000-8000-000000000001', 0, 0);
do $$ begin
    execute format('grant temporary on database %I to authenticated', current_database());
end $$;
-- The story looks at what the server itself refuses to the user, so let every RPC be called.
do $$ begin
    execute (
        select string_agg(format('grant execute on function %s to authenticated',
            p.oid::regprocedure), ';')
        from pg_proc as p
        where p.pronamespace = 'public'::regnamespace and p.proowner = 'rendio_owner'::regrole
    );
end $$;

set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';

-- A shop of Ada's own, where videos are free, and money that says it is hers.
create temp table models (
    id uuid, name text, cost_per_generation integer, provider text, is_available boolean,
    timeout interval
);
insert into models values
('5f3b1e70-0000-4000-8000-000000000001', 'Free', 0, 'fal', true, '1 hour');
create temp table users (id uuid, credits_remaining bigint, merged_into uuid);
insert into users values ('aaaaaaaa-0000-4000-8000-000000000001', 1000000, null);
create temp table app_settings (key text, value jsonb);
insert into app_settings values ('initial_grant', '1000000');

-- Types whose check is her code. It would run with the right of whoever uses them.
create function pg_temp.evil() returns boolean language plpgsql as $$
begin
    if current_user <> 'authenticated' then
        perform set_config('story.hijacked', current_user, true);
    end if;
    return true;
end $$;
create domain pg_temp.uuid as pg_catalog.uuid check (pg_temp.evil());
create domain pg_temp.jsonb as pg_catalog.jsonb check (pg_temp.evil());
create domain pg_temp.timestamptz as pg_catalog.timestamptz check (pg_temp.evil());
create domain pg_temp.text as pg_catalog.text check (pg_temp.evil());
create domain pg_temp.bytea as pg_catalog.bytea check (pg_temp.evil());
create domain pg_temp.int8 as pg_catalog.int8 check (pg_temp.evil());
create domain pg_temp.int4 as pg_catalog.int4 check (pg_temp.evil());
create domain pg_temp.bool as pg_catalog.bool check (pg_temp.evil());
create domain pg_temp.name as pg_catalog.name check (pg_temp.evil());

select throws_ok(
    $$ select public.generate_video_atomic('aaaaaaaa-0000-4000-8000-000000000001',
       '5f3b1e70-0000-4000-8000-000000000001', 'A boat.', null, gen_random_uuid()) $$,
    'PT402', 'insufficient_credits', 'a video costs what our catalogue says, from our books'
);
select is(
    public.get_user_credits('aaaaaaaa-0000-4000-8000-000000000001')
    ->> 'credits_remaining'::varchar,
    '0', 'and she has what our books say'
);
select is(
    public.get_models() #>> '{models,0,name}', 'Sora 2', 'the catalogue is ours'
);

-- The rest, whatever each answers.
do $$
declare
    v_call pg_catalog.varchar;
begin
    foreach v_call in array array[
        'balance_at(''aaaaaaaa-0000-4000-8000-000000000001'', ''infinity'')',
        'cancel_video_job(''aaaaaaaa-0000-4000-8000-000000000001'', gen_random_uuid())',
        'link_apple_account(''aaaaaaaa-0000-4000-8000-000000000001'', ''sub'')',
        'delete_video_job(''aaaaaaaa-0000-4000-8000-000000000001'', gen_random_uuid())',
        'get_credit_history(''aaaaaaaa-0000-4000-8000-000000000001'')',
        'get_credit_lots(''aaaaaaaa-0000-4000-8000-000000000001'')',
        'get_credit_statement(''aaaaaaaa-0000-4000-8000-000000000001'', ''2026-01-01'', '
            '''2027-01-01'')',
        'quote_generation(''aaaaaaaa-0000-4000-8000-000000000001'', '
            '''5f3b1e70-0000-4000-8000-000000000001'', null)',
        'get_video_jobs(''aaaaaaaa-0000-4000-8000-000000000001'')',
        'get_video_status(''aaaaaaaa-0000-4000-8000-000000000001'', gen_random_uuid())',
        'add_credits(''aaaaaaaa-0000-4000-8000-000000000001'', 5, ''promo_grant'', '
            'gen_random_uuid())',
        'claim_video_jobs(''worker'')',
        'complete_video_job(''fal'', ''1'', ''u'')',
        'device_check(''aaaaaaaa-0000-4000-8000-000000000001'', ''phone'')',
        'fail_video_job(''fal'', ''1'', ''oh'')',
        'ledger_digest(''aaaaaaaa-0000-4000-8000-000000000001'')',
        'reconcile_credits()',
        'check_request()',
        'check_rate_limit(''aaaaaaaa-0000-4000-8000-000000000001'', ''general'')',
        'apply_store_notification(''app_store'', ''Production'', ''n'', ''REFUND'', ''1'')',
        'get_consumption_requests()',
        'answer_consumption_request(''app_store'', ''Production'', ''n'')',
        'set_consumption_consent(''aaaaaaaa-0000-4000-8000-000000000001'', true)',
        'waive_credit_debt(''aaaaaaaa-0000-4000-8000-000000000001'')',
        'record_iap_purchase(''aaaaaaaa-0000-4000-8000-000000000001'', ''app_store'', '
            '''Production'', ''1'', ''credits_20'')',
        'refund_video_job(''aaaaaaaa-0000-4000-8000-000000000001'', gen_random_uuid())',
        'start_video_job(''aaaaaaaa-0000-4000-8000-000000000001'', gen_random_uuid(), ''1'')',
        'delete_account(''aaaaaaaa-0000-4000-8000-000000000001'')'
    ] loop
        begin
            execute 'select public.' || v_call;
        exception
            when sqlstate 'PT403' or sqlstate 'PT404' then null;
        end;
    end loop;
end $$;
reset role;
select is(
    nullif(current_setting('story.hijacked', true), ''), null,
    'none of her types was used by a function of ours'
);
select is(
    (select count(*)::int from pg_catalog.pg_proc as p
     where p.pronamespace = 'public'::pg_catalog.regnamespace
         and p.proowner = 'rendio_owner'::pg_catalog.regrole),
    31, 'and every RPC was called'
);

select * from finish();
rollback;
