-- Credits given and taken by people, each call once.
begin;
set local timezone = 'UTC';
set local datestyle = 'iso';
select plan(59);

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

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
end $$;

-- A promotion gives Ada 5.
set local role service_role;
select is(
    public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 5, 'promo_grant',
        '11111111-0000-4000-8000-000000000001'),
    '{"credits_added": 5, "credits_remaining": 15, "replayed": false}', 'a promotion gives'
);
reset role;
select results_eq(
    $$ select seq, change::bigint, balance_after::bigint, reason::text from public.quota_log
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' order by seq $$,
    $$ values (1::bigint, 10::bigint, 10::bigint, 'initial_grant'), (2, 5, 15, 'promo_grant') $$,
    'the ledger has an entry for it'
);
select results_eq(
    $$ select seq, amount, remaining, kind from public.credit_grants
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' order by seq $$,
    $$ values (1::bigint, 10::bigint, 10::bigint, 'promotional'), (2, 5, 5, 'promotional') $$,
    'and a promotional lot'
);
select results_eq(
    $$ select credits_remaining::bigint, credits_total::bigint, ledger_seq from public.users
       where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$,
    $$ values (15::bigint, 15::bigint, 2::bigint) $$,
    'balance and total rise together'
);

-- The answer is lost on the way; the backend sends the call again.
select is(
    public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 5, 'promo_grant',
        '11111111-0000-4000-8000-000000000001'),
    '{"credits_added": 5, "credits_remaining": 15, "replayed": true}', 'a retry gives nothing'
);
select is(
    pg_temp.rows_written_by($$ select public.add_credits('aaaaaaaa-0000-4000-8000-000000000001',
        5, 'promo_grant', '11111111-0000-4000-8000-000000000001') $$),
    0::bigint, 'and writes nothing'
);

-- Support takes some back, and then too much.
select is(
    public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -12, 'admin_adjustment',
        '11111111-0000-4000-8000-000000000002'),
    '{"credits_added": -12, "credits_remaining": 3, "replayed": false}', 'an adjustment may take'
);
select is(
    (select credits_total::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    15::bigint, 'taking does not lower what was ever granted'
);
select is(
    public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 5, 'promo_grant',
        '11111111-0000-4000-8000-000000000001'),
    '{"credits_added": 5, "credits_remaining": 3, "replayed": true}',
    'a later retry repeats the result, with today''s balance'
);
select throws_ok(
    $$ select public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -4, 'admin_adjustment',
       '11111111-0000-4000-8000-000000000003') $$,
    'PT402', 'insufficient_credits', 'it never takes below zero'
);
do $$
declare
    v_detail text;
begin
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -4, 'admin_adjustment',
        '11111111-0000-4000-8000-000000000003');
exception
    when sqlstate 'PT402' then
        get stacked diagnostics v_detail = pg_exception_detail;
        perform set_config('story.detail', v_detail, true);
end $$;
select is(
    current_setting('story.detail')::jsonb, '{"required": 4, "available": 3}',
    'and says what it would need and what there is'
);
select is(
    public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -3, 'admin_adjustment',
        '11111111-0000-4000-8000-000000000003'),
    '{"credits_added": -3, "credits_remaining": 0, "replayed": false}',
    'a refused call leaves its key free; to zero is allowed'
);
select is(
    public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 2, 'admin_adjustment',
        '11111111-0000-4000-8000-000000000004'),
    '{"credits_added": 2, "credits_remaining": 2, "replayed": false}', 'an adjustment may give'
);

-- One key, two requests.
select throws_ok(
    $$ select public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 6, 'promo_grant',
       '11111111-0000-4000-8000-000000000001') $$,
    'PT422', 'idempotency_key_reused', 'another amount under a used key is refused'
);
select throws_ok(
    $$ select public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 5, 'admin_adjustment',
       '11111111-0000-4000-8000-000000000001') $$,
    'PT422', 'idempotency_key_reused', 'and so is another reason'
);
select is(
    public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 6, 'promo_grant',
        '11111111-0000-4000-8000-000000000001'),
    '{"credits_added": 6, "credits_remaining": 16, "replayed": false}',
    'Ben''s keys are not Ada''s'
);

-- A day later the key is new.
create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
do $$ begin
    perform set_config('story.now', (expires_at - interval '1 microsecond')::text, true)
    from public.idempotency_log
    where idempotency_key = '11111111-0000-4000-8000-000000000002';
end $$;
select is(
    public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -12, 'admin_adjustment',
        '11111111-0000-4000-8000-000000000002') ->> 'replayed',
    'true', 'a microsecond before 24 hours a call is a retry'
);
do $$ begin
    perform set_config('story.now', expires_at::text, true)
    from public.idempotency_log
    where idempotency_key = '11111111-0000-4000-8000-000000000002';
end $$;
select throws_ok(
    $$ select public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -12, 'admin_adjustment',
       '11111111-0000-4000-8000-000000000002') $$,
    'PT402', 'insufficient_credits', 'after 24 hours it is a new request, judged anew'
);

-- Limits.
select is(
    public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 1000000, 'promo_grant',
        '11111111-0000-4000-8000-000000000010') ->> 'credits_remaining',
    '1000002', 'a million at once may be given'
);
select is(
    public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -1000000, 'admin_adjustment',
        '11111111-0000-4000-8000-000000000011') ->> 'credits_remaining',
    '2', 'and taken'
);
select throws_ok(
    format($$ select public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', %s, %L,
        '11111111-0000-4000-8000-000000000012') $$, a.amount, a.reason),
    'PT400', 'invalid_argument', format('%s as %s is refused', a.amount, a.reason)
)
from (
    values (0, 'admin_adjustment'), (0, 'promo_grant'), (-1, 'promo_grant'),
    (1000001, 'promo_grant'), (1000001, 'admin_adjustment'), (-1000001, 'admin_adjustment'),
    (5, 'initial_grant'), (5, 'iap_purchase'), (5, 'generation_failed_refund'), (5, ''),
    (5, 'PROMO_GRANT')
) as a (amount, reason);
select throws_ok(
    $$ select public.add_credits(null, 5, 'promo_grant', gen_random_uuid()) $$,
    'PT400', 'invalid_argument', 'a user is required'
);
select throws_ok(
    $$ select public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', null, 'promo_grant',
       gen_random_uuid()) $$,
    'PT400', 'invalid_argument', 'an amount'
);
select throws_ok(
    $$ select public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 5, null,
       gen_random_uuid()) $$,
    'PT400', 'invalid_argument', 'a reason'
);
select throws_ok(
    $$ select public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 5, 'promo_grant', null) $$,
    'PT400', 'invalid_argument', 'and a key'
);
select throws_ok(
    $$ select public.add_credits('99999999-0000-4000-8000-000000000001', 5, 'promo_grant',
       gen_random_uuid()) $$,
    'PT404', 'user_not_found', 'an unknown user gets nothing'
);
select is(
    (select count(*)::integer from public.idempotency_log
     where user_id = '99999999-0000-4000-8000-000000000001'),
    0, 'and leaves no key behind'
);

-- Ben's credits end on 1 February.
set local story.now = '2030-01-31 08:00:00+00';
select is(
    public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 5, 'promo_grant',
        '11111111-0000-4000-8000-000000000020', '2030-02-01 00:00:00+00'),
    '{"credits_added": 5, "credits_remaining": 21, "replayed": false}', 'credits may end'
);
select results_eq(
    $$ select seq, amount, expires_at from public.credit_grants
       where user_id = 'bbbbbbbb-0000-4000-8000-000000000001' order by seq $$,
    $$ values (1::bigint, 10::bigint, timestamptz 'infinity'), (2, 6, 'infinity'),
       (3, 5, '2030-02-01 00:00:00+00') $$,
    'their lot says when'
);
select throws_ok(
    format($$ select public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 5, 'promo_grant',
        '11111111-0000-4000-8000-000000000020', %L) $$, expires_at),
    'PT422', 'idempotency_key_reused', format('a retry that says %s is another request', what)
)
from (values
    ('a microsecond later', timestamptz '2030-02-01 00:00:00.000001+00'), ('never', null)
) as other (what, expires_at);
set local timezone = 'Pacific/Auckland';
set local datestyle = 'sql, dmy';
select is(
    public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 5, 'promo_grant',
        '11111111-0000-4000-8000-000000000020', '2030-02-01 13:00:00+13') ->> 'replayed',
    'true', 'the same time said in Auckland is the same request'
);
set local timezone = 'UTC';
set local datestyle = 'iso';
set local story.now = '2030-02-01 00:00:00+00';
select is(
    public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 5, 'promo_grant',
        '11111111-0000-4000-8000-000000000020', '2030-02-01 00:00:00+00') ->> 'replayed',
    'true', 'a retry that comes after the end is still a retry'
);
select throws_ok(
    $$ select public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 5, 'promo_grant',
       '11111111-0000-4000-8000-000000000021', '2030-02-01 00:00:00+00') $$,
    'PT400', 'invalid_argument', 'a new request cannot end when it begins'
);
select is(
    public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 5, 'promo_grant',
        '11111111-0000-4000-8000-000000000021', '2030-02-01 00:00:00.000001+00') ->> 'replayed',
    'false', 'a microsecond later it can; the refused call left its key free'
);
select throws_ok(
    format($$ select public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', %s,
        'admin_adjustment', '11111111-0000-4000-8000-000000000022', %L) $$, amount, expires_at),
    'PT400', 'invalid_argument', what
)
from (values
    (5, timestamptz '1999-01-01', 'nothing ends in the past'),
    (5, 'infinity', 'infinity is not an end'),
    (5, '-infinity', 'nor is the beginning of time'),
    (-5, '2030-03-01', 'what is taken does not end')
) as t (amount, expires_at, what);
select is(
    (select count(*)::integer from public.idempotency_log
     where idempotency_key = '11111111-0000-4000-8000-000000000022'),
    0, 'and no key is used up'
);

-- What has ended is not there to be taken.
set local story.now = '2030-02-02 00:00:00+00';
select throws_ok(
    $$ select public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', -17, 'admin_adjustment',
       '11111111-0000-4000-8000-000000000023') $$,
    'PT402', 'insufficient_credits', 'two lots have'
);
select is(
    public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', -16, 'admin_adjustment',
        '11111111-0000-4000-8000-000000000023'),
    '{"credits_added": -16, "credits_remaining": 0, "replayed": false}', 'the rest can be taken'
);
select results_eq(
    $$ select change::bigint, reason::text, lot_seq from public.quota_log
       where user_id = 'bbbbbbbb-0000-4000-8000-000000000001' and seq > 3 order by seq $$,
    $$ values (-5::bigint, 'credit_expired', 3::bigint), (5, 'promo_grant', null),
       (-5, 'credit_expired', 5), (-16, 'admin_adjustment', null) $$,
    'and the loss is written first'
);
do $$ begin
    perform rendio.ensure_partitions();
end $$;

-- A clock that went back does not know that the ledger has passed an end.
do $$ begin
    perform public.device_check('cccccccc-0000-4000-8000-000000000001', 'cyd-phone');
    update public.users set ledger_at = rendio.clock() + interval '1 hour'
    where id = 'cccccccc-0000-4000-8000-000000000001';
end $$;
select throws_ok(
    $$ select public.add_credits('cccccccc-0000-4000-8000-000000000001', 5, 'promo_grant',
       gen_random_uuid(), rendio.clock() + interval '1 hour') $$,
    'PT400', 'invalid_argument', 'what would be lost when it comes is not given'
);

update public.users set merged_into = 'bbbbbbbb-0000-4000-8000-000000000001'
where id = 'aaaaaaaa-0000-4000-8000-000000000001';
select throws_ok(
    $$ select public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 5, 'promo_grant',
       gen_random_uuid()) $$,
    'PT409', 'account_merged', 'a merged guest gets nothing'
);

-- Only the service gives.
set local role anon;
select throws_ok(
    $$ select public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 5, 'promo_grant',
       gen_random_uuid()) $$,
    '42501', null, 'anon may not call it'
);
set local role authenticated;
set local request.jwt.claims = '{"sub": "bbbbbbbb-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 5, 'promo_grant',
       gen_random_uuid()) $$,
    '42501', null, 'Ben gives himself nothing'
);
reset role;
grant execute on function public.add_credits to authenticated;
set local role authenticated;
select throws_ok(
    $$ select public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 5, 'promo_grant',
       gen_random_uuid()) $$,
    'PT403', 'service_only', 'not even with the grant'
);
reset role;

select is_empty(
    $$ select * from public.reconcile_credits() where problem <> 'closed_account_holds_credits' $$,
    'the books agree, but for Ada''s, who was closed by hand'
);

select * from finish();
rollback;
