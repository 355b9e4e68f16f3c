-- A key belongs to its first request for 24 hours, to the microsecond.
begin;
select plan(9);

-- Ada's first call claims the key.
select is(
    rendio.claim_idempotency_key(
        'aaaaaaaa-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000001',
        'paint', '\x01', '{"n": 1}', null, '2026-11-05 12:00:00+00'
    ),
    null, 'a new key is ours'
);
select results_eq(
    $$ select operation_type, request_hash, response_data, status_code, created_at, expires_at
       from public.idempotency_log
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' $$,
    $$ values ('paint', '\x01'::bytea, '{"n": 1}'::jsonb, 200,
       timestamptz '2026-11-05 12:00:00+00', timestamptz '2026-11-06 12:00:00+00') $$,
    'kept with its response, for 24 hours'
);

-- Her retry.
select is(
    rendio.claim_idempotency_key(
        'aaaaaaaa-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000001',
        'paint', '\x01', '{"n": 2}', null, '2026-11-06 11:59:59.999999+00'
    ),
    '{"n": 1}', 'the same request gets the first response until the last microsecond'
);

-- The same key for something else.
select throws_ok(
    $$ select rendio.claim_idempotency_key(
        'aaaaaaaa-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000001',
        'paint', '\x02', '{"n": 2}', null, '2026-11-05 12:00:01+00') $$,
    'PT422', 'idempotency_key_reused', 'another request under the key is refused'
);
do $$
declare
    v_detail text;
begin
    perform rendio.claim_idempotency_key(
        'aaaaaaaa-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000001',
        'paint', '\x02', '{"n": 2}', null, '2026-11-05 12:00:01+00');
exception
    when sqlstate 'PT422' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select is(
    current_setting('story.detail')::jsonb ->> 'operation', 'paint',
    'the detail says what the key was used for'
);

-- Ben happens to choose the same key.
select is(
    rendio.claim_idempotency_key(
        'bbbbbbbb-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000001',
        'paint', '\x02', '{"n": 3}', null, '2026-11-05 12:00:01+00'
    ),
    null, 'keys are per user'
);

-- A day later the key is new, though nobody cleaned up.
select is(
    rendio.claim_idempotency_key(
        'aaaaaaaa-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000001',
        'paint', '\x03', '{"n": 4}', 'dddddddd-0000-4000-8000-000000000001',
        '2026-11-06 12:00:00+00'
    ),
    null, 'after exactly 24 hours the key is new again'
);
select results_eq(
    $$ select request_hash, response_data, job_id, expires_at from public.idempotency_log
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' $$,
    $$ values ('\x03'::bytea, '{"n": 4}'::jsonb, 'dddddddd-0000-4000-8000-000000000001'::uuid,
       timestamptz '2026-11-07 12:00:00+00') $$,
    'and belongs to its new request'
);
select is(
    rendio.claim_idempotency_key(
        'aaaaaaaa-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000001',
        'paint', '\x03', '{"n": 5}', null, '2026-11-07 11:00:00+00'
    ),
    '{"n": 4, "job_id": "dddddddd-0000-4000-8000-000000000001"}',
    'a response that made a job names it'
);

select * from finish();
rollback;
