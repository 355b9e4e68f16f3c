-- The answer to a notification that was received before.
begin;
select plan(11);

create function pg_temp.replay(
    p_id text, p_type text, p_transaction_id text, p_environment text default 'Production'
) returns jsonb language sql stable as $$
    select rendio.replay_notification('app_store', p_environment, p_id, p_type, p_transaction_id);
$$;
create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
do $$ begin
    perform rendio.ensure_partitions();
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.record_iap_purchase('aaaaaaaa-0000-4000-8000-000000000001', 'app_store',
        'Production', '1', 'credits_20');
    insert into public.store_notifications (store, environment, notification_id, type,
        transaction_id, payload, occurred_at, received_at, action, credits_changed)
    values
    ('app_store', 'Production', 'n1', 'REFUND', '1', '{}', '2030-01-15', '2030-01-15', 'revoked',
     -7),
    ('app_store', 'Production', 'n2', 'TEST', null, '{}', '2030-01-15', '2030-01-15', 'test', 0);
end $$;

select is(
    pg_temp.replay('n1', 'REFUND', '1'),
    '{"action": "revoked", "credits_changed": -7, "credits_remaining": 30, "replayed": true}',
    'what was done, and what there is today'
);
select is(
    pg_temp.replay('n2', 'TEST', null),
    '{"action": "test", "credits_changed": 0, "credits_remaining": null, "replayed": true}',
    'a test has no purchase, and is the same again'
);
select throws_ok(
    format($$ select pg_temp.replay(%L, %L, %L) $$, id, type, transaction_id),
    'PT422', 'idempotency_key_reused', what
)
from (values
    ('n1', 'REFUND_REVERSED', '1', 'another type'),
    ('n1', 'REFUND', '2', 'another purchase'),
    ('n1', 'REFUND', null, 'no purchase'),
    ('n1', null, '1', 'no type'),
    ('n2', 'TEST', '1', 'a test that has got a purchase')
) as t (id, type, transaction_id, what);
do $$
declare
    v_detail text;
begin
    perform pg_temp.replay('n1', 'REFUND_REVERSED', '2');
exception
    when sqlstate 'PT422' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select is(
    current_setting('story.detail')::jsonb, '{"type": "REFUND", "transaction_id": "1"}',
    'it says what the first was'
);
select throws_ok(
    format($$ select pg_temp.replay(%L, 'REFUND', '1', %L) $$, id, environment),
    'P0002', null, what
)
from (values
    ('n3', 'Production', 'what was never received is no repetition'),
    ('n1', 'Sandbox', 'nor what was received from elsewhere'),
    (null, 'Production', 'nor nothing')
) as t (id, environment, what);

select * from finish();
rollback;
