-- The store has been told: its question is closed.
begin;
select plan(21);

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
create temp view answers as
select store, environment, notification_id, answered_at from public.store_notifications
where answered_at is not null;

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
set local story.now = '2030-01-15 08:00:00+00';
do $$ begin
    perform public.apply_store_notification('app_store', 'Production', 'n1', 'CONSUMPTION_REQUEST',
        't1');
    perform public.apply_store_notification('app_store', 'Production', 'n2', 'CONSUMPTION_REQUEST',
        't1');
    perform public.apply_store_notification('app_store', 'Sandbox', 'n1', 'CONSUMPTION_REQUEST',
        't1');
    perform public.apply_store_notification('app_store', 'Production', 'n3', 'REFUND', 't1');
end $$;

set local role service_role;
set local story.now = '2030-01-15 09:00:00+00';
select is(
    public.answer_consumption_request('app_store', 'Production', 'n1'),
    '{"answered": true, "replayed": false}', 'answered'
);
set local story.now = '2030-01-15 10:00:00+00';
select is(
    public.answer_consumption_request('app_store', 'Production', 'n1'),
    '{"answered": true, "replayed": true}', 'and once more'
);
reset role;
select results_eq(
    'select * from answers',
    $$ values ('app_store', 'Production', 'n1', timestamptz '2030-01-15 09:00:00+00') $$,
    'one request, when it was answered first'
);
select is(
    pg_temp.rows_written_by(
        $$ select public.answer_consumption_request('app_store', 'Production', 'n1') $$),
    0::bigint, 'a repeated answer writes nothing'
);
select is(
    public.answer_consumption_request('app_store', 'Sandbox', 'n1') ->> 'replayed', 'false',
    'the sandbox''s is another'
);
set local story.now = '2030-03-15 10:00:00+00';
select is(
    public.answer_consumption_request('app_store', 'Production', 'n2') ->> 'replayed', 'false',
    'an answer may come late'
);

-- What was never asked is not answered.
select throws_ok(
    format($$ select public.answer_consumption_request(%L, %L, %L) $$, store, environment, id),
    code, slug, what
)
from (values
    ('what is not known', 'app_store', 'Production', 'n4', 'PT404',
     'consumption_request_not_found'),
    ('in another store', 'google_play', 'Production', 'n1', 'PT404',
     'consumption_request_not_found'),
    ('in another environment', 'app_store', 'Sandbox', 'n2', 'PT404',
     'consumption_request_not_found'),
    ('a notification that asks nothing', 'app_store', 'Production', 'n3', 'PT404',
     'consumption_request_not_found'),
    ('no store', null, 'Production', 'n1', 'PT400', 'invalid_argument'),
    ('an unknown environment', 'app_store', 'Xcode', 'n1', 'PT400', 'invalid_argument'),
    ('no id', 'app_store', 'Production', null, 'PT400', 'invalid_argument'),
    ('an empty id', 'app_store', 'Production', '', 'PT400', 'invalid_argument'),
    ('an id of 256 characters', 'app_store', 'Production', repeat('n', 256), 'PT413',
     'payload_too_large')
) as t (what, store, environment, id, code, slug);
select throws_ok(
    $$ select public.answer_consumption_request('app_store', 'Production', repeat('ü', 255)) $$,
    'PT404', 'consumption_request_not_found', 'an id of 255 might be one'
);
do $$
declare
    v_detail text;
begin
    perform public.answer_consumption_request('app_store', 'Production', 'n4');
exception
    when sqlstate 'PT404' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select is(
    current_setting('story.detail')::jsonb,
    '{"store": "app_store", "environment": "Production", "notification_id": "n4"}',
    'it says which one there is not'
);
select is((select count(*) from answers), 3::bigint, 'nothing else is answered');

-- Only the service talks to stores.
set local role anon;
select throws_ok(
    $$ select public.answer_consumption_request('app_store', 'Production', 'n1') $$,
    '42501', null, 'anon may not call it'
);
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.answer_consumption_request('app_store', 'Production', 'n1') $$,
    '42501', null, 'nor may Ada'
);
reset role;
grant execute on function public.answer_consumption_request to authenticated;
set local role authenticated;
select throws_ok(
    $$ select public.answer_consumption_request('app_store', 'Production', 'n1') $$,
    'PT403', 'service_only', 'not even with the grant'
);
reset role;

select * from finish();
rollback;
