-- Expired keys go, in batches; live ones stay.
begin;
select plan(5);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-02 12:00:00+00'; end;

delete from public.idempotency_log;
insert into public.idempotency_log (
    user_id, idempotency_key, created_at, expires_at, operation_type, request_hash, response_data
)
select
    gen_random_uuid(), gen_random_uuid(), e.expires_at - interval '24 hours', e.expires_at,
    'paint', '\x00', '{}'
from (
    select timestamptz '2030-01-02 11:00:00+00' as expires_at from generate_series(1, 5)
    union all values
    (timestamptz '2030-01-02 12:00:00+00'), ('2030-01-02 12:00:00.000001+00'),
    ('2030-01-03 12:00+00')
) as e;

select is(rendio.cleanup_idempotency_log(2), 2::bigint, 'a batch is no larger than asked');
select is(rendio.cleanup_idempotency_log(), 4::bigint, 'the rest goes with the next run');
select results_eq(
    $$ select expires_at from public.idempotency_log order by 1 $$,
    $$ values (timestamptz '2030-01-02 12:00:00.000001+00'), ('2030-01-03 12:00+00') $$,
    'a key that still answers stays, to the microsecond'
);
select is(
    pg_get_function_arguments('rendio.cleanup_idempotency_log'::regproc),
    'p_limit integer DEFAULT 500000', 'an hourly run keeps up with 138 keys a second'
);
select is(rendio.cleanup_idempotency_log(), 0::bigint, 'and a run with nothing to do does nothing');

select * from finish();
rollback;
