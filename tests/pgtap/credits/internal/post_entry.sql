-- The one place where credits move: balance, ledger and lot together, in one order.
begin;
select plan(29);

insert into public.users (id, created_at, ledger_at) values
('aaaaaaaa-0000-4000-8000-000000000001', '2026-11-05 12:00+00', '2026-11-05 12:00+00');

select is(
    (rendio.post_entry('aaaaaaaa-0000-4000-8000-000000000001', 10, 'promo_grant', null,
        '2026-11-05 12:00:10+00')).balance_after::bigint,
    10::bigint, 'a credit returns the new balance'
);
select is(
    (rendio.post_entry('aaaaaaaa-0000-4000-8000-000000000001', -4, 'video_generation',
        'dddddddd-0000-4000-8000-000000000001', '2026-11-05 12:00:05+00')).balance_after::bigint,
    6::bigint, 'and so does a debit'
);
select is(
    (rendio.post_entry('aaaaaaaa-0000-4000-8000-000000000001', 4, 'generation_failed_refund',
        'dddddddd-0000-4000-8000-000000000001', '2026-11-05 12:00:20+00')).balance_after::bigint,
    10::bigint, 'a refund'
);
select is(
    (rendio.post_entry('aaaaaaaa-0000-4000-8000-000000000001', 20, 'iap_purchase', null,
        '2026-11-05 12:00:20+00', true)).balance_after::bigint,
    30::bigint, 'a purchase in the sandbox'
);
select results_eq(
    $$ select seq, change::bigint, balance_after::bigint, reason::text, job_id, is_sandbox,
           created_at
       from public.quota_log where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' order by seq $$,
    $$ values
       (1::bigint, 10::bigint, 10::bigint, 'promo_grant', null::uuid, false,
        timestamptz '2026-11-05 12:00:10+00'),
       (2, -4, 6, 'video_generation', 'dddddddd-0000-4000-8000-000000000001', false,
        '2026-11-05 12:00:10+00'),
       (3, 4, 10, 'generation_failed_refund', 'dddddddd-0000-4000-8000-000000000001', false,
        '2026-11-05 12:00:20+00'),
       (4, 20, 30, 'iap_purchase', null, true, '2026-11-05 12:00:20+00') $$,
    'entries are numbered without gaps, and time never runs against the number'
);
select results_eq(
    $$ select credits_remaining::bigint, credits_total::bigint, ledger_seq, ledger_at
       from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$,
    $$ values (30::bigint, 30::bigint, 4::bigint, timestamptz '2026-11-05 12:00:20+00') $$,
    'the account holds the running totals; a refund grants nothing'
);
select results_eq(
    $$ select seq, amount, is_sandbox from public.credit_grants
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' order by seq $$,
    $$ values (1::bigint, 10::bigint, false), (4, 20, true) $$,
    'a grant and a purchase open lots, a debit and a refund do not'
);

-- What it refuses.
select throws_ok(
    $$ select rendio.post_entry('aaaaaaaa-0000-4000-8000-000000000001', -31, 'admin_adjustment',
       null, '2026-11-05 12:01+00') $$,
    'PT402', 'insufficient_credits', 'no balance goes below zero'
);
select throws_ok(
    $$ select rendio.post_entry('99999999-0000-4000-8000-000000000001', 1, 'promo_grant',
       null, '2026-11-05 12:01+00') $$,
    'PT404', 'user_not_found', 'nobody has no ledger'
);
select throws_ok(
    $$ select rendio.post_entry('aaaaaaaa-0000-4000-8000-000000000001', 1, 'gift', null,
       '2026-11-05 12:01+00') $$,
    '22P02', null, 'a reason that is none is refused by its type'
);
select throws_ok(
    $$ select rendio.post_entry('aaaaaaaa-0000-4000-8000-000000000001', 0, 'admin_adjustment',
       null, '2026-11-05 12:01+00') $$,
    '23514', null, 'and an entry that changes nothing'
);
update public.users set merged_into = 'bbbbbbbb-0000-4000-8000-000000000001'
where id = 'aaaaaaaa-0000-4000-8000-000000000001';
select throws_ok(
    $$ select rendio.post_entry('aaaaaaaa-0000-4000-8000-000000000001', 1, 'promo_grant',
       null, '2026-11-05 12:01+00') $$,
    'PT409', 'account_merged', 'a merged guest''s ledger is closed to what is given'
);
select is(
    (select ledger_seq from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    4::bigint, 'a refused entry takes no number'
);

-- Ben's credits end.
insert into public.users (id, created_at, ledger_at) values
('bbbbbbbb-0000-4000-8000-000000000001', '2026-11-05 12:00+00', '2026-11-05 12:00+00');
create temp view ben as
select credits_remaining::bigint, credits_total::bigint, ledger_seq, next_expiry_at
from public.users where id = 'bbbbbbbb-0000-4000-8000-000000000001';
do $$ begin
    perform rendio.post_entry('bbbbbbbb-0000-4000-8000-000000000001', 10, 'promo_grant', null,
        '2026-11-05 12:00+00', p_expires_at => '2026-11-07 12:00+00');
    perform rendio.post_entry('bbbbbbbb-0000-4000-8000-000000000001', 5, 'promo_grant', null,
        '2026-11-05 12:00+00', p_expires_at => '2026-11-09 12:00+00');
    perform rendio.post_entry('bbbbbbbb-0000-4000-8000-000000000001', 1, 'promo_grant', null,
        '2026-11-05 12:00+00');
end $$;
select results_eq(
    'select * from ben',
    $$ values (16::bigint, 16::bigint, 3::bigint, timestamptz '2026-11-07 12:00+00') $$,
    'the account knows the nearest end'
);
select results_eq(
    $$ select seq, expires_at from public.credit_grants
       where user_id = 'bbbbbbbb-0000-4000-8000-000000000001' order by seq $$,
    $$ values (1::bigint, timestamptz '2026-11-07 12:00+00'), (2, '2026-11-09 12:00+00'),
       (3, 'infinity') $$,
    'and every lot its own'
);
select is(
    (rendio.post_entry('bbbbbbbb-0000-4000-8000-000000000001', -2, 'admin_adjustment', null,
        '2026-11-07 11:59:59.999999+00')).balance_after::bigint,
    14::bigint, 'a microsecond before it, all can be spent'
);
select is(
    (rendio.post_entry('bbbbbbbb-0000-4000-8000-000000000001', 1, 'promo_grant', null,
        '2026-11-07 12:00+00')).balance_after::bigint,
    7::bigint, 'even a credit waits until what has ended is settled'
);
select is(
    (rendio.post_entry('bbbbbbbb-0000-4000-8000-000000000001', -1, 'admin_adjustment', null,
        '2026-11-07 12:00+00')).balance_after::bigint,
    6::bigint, 'and so does a debit'
);
select results_eq(
    $$ select seq, change::bigint, reason::text, lot_seq from public.quota_log
       where user_id = 'bbbbbbbb-0000-4000-8000-000000000001' and seq > 4 order by seq $$,
    $$ values (5::bigint, -8::bigint, 'credit_expired', 1::bigint),
       (6, 1, 'promo_grant', null), (7, -1, 'admin_adjustment', null) $$,
    'the loss is written first'
);
select is(
    (rendio.post_entry('bbbbbbbb-0000-4000-8000-000000000001', -1, 'credit_expired', null,
        '2026-11-07 12:00+00', p_lot_seq => 3, p_lot_n => 1::smallint)).balance_after::bigint,
    5::bigint, 'an entry may name its lot'
);
select throws_ok(
    $$ select rendio.post_entry('bbbbbbbb-0000-4000-8000-000000000001', -2, 'admin_adjustment',
       null, '2026-11-09 12:00+00') $$,
    'PT402', 'insufficient_credits', 'what has ended does not pay'
);
select is_empty(
    $$ select * from public.reconcile_credits('bbbbbbbb-0000-4000-8000-000000000001') $$,
    'the books agree'
);

-- Cyd's guest has gone into his account, Dan's account is deleted; a store and a provider report.
insert into public.users (id, created_at, ledger_at, merged_into, deleted_at) values
('cccccccc-0000-4000-8000-000000000001', '2026-11-05 12:00+00', '2026-11-05 12:00+00', null, null),
('cccccccc-0000-4000-8000-000000000002', '2026-11-05 12:00+00', '2026-11-05 12:00+00',
 'cccccccc-0000-4000-8000-000000000001', null),
('dddddddd-0000-4000-8000-000000000001', '2026-11-05 12:00+00', '2026-11-05 12:00+00', null,
 '2026-11-06 12:00+00');
select is(
    (rendio.post_entry('cccccccc-0000-4000-8000-000000000002', 20, 'iap_purchase', null,
        '2026-11-07 12:00+00')).seq,
    1::bigint, 'a purchase enters the guest''s ledger'
);
select results_eq(
    $$ select user_id, seq, change::bigint, balance_after::bigint, reason::text
       from public.quota_log
       where user_id in ('cccccccc-0000-4000-8000-000000000001',
           'cccccccc-0000-4000-8000-000000000002')
       order by user_id desc, seq $$,
    $$ values
       ('cccccccc-0000-4000-8000-000000000002'::uuid, 1::bigint, 20::bigint, 20::bigint,
        'iap_purchase'),
       ('cccccccc-0000-4000-8000-000000000002', 2, -20, 0, 'guest_merge_out'),
       ('cccccccc-0000-4000-8000-000000000001', 1, 20, 20, 'guest_merge_in') $$,
    'and leaves it at once, for the account''s'
);
select is(
    (rendio.post_entry('dddddddd-0000-4000-8000-000000000001', 20, 'iap_purchase', null,
        '2026-11-07 12:00+00')).seq,
    1::bigint, 'a purchase enters the ledger of a deleted account'
);
select results_eq(
    $$ select seq, change::bigint, balance_after::bigint, reason::text from public.quota_log
       where user_id = 'dddddddd-0000-4000-8000-000000000001' order by seq $$,
    $$ values (1::bigint, 20::bigint, 20::bigint, 'iap_purchase'),
       (2, -20, 0, 'credit_expired') $$,
    'and is lost at once'
);
select throws_ok(
    format($$ select rendio.post_entry('dddddddd-0000-4000-8000-000000000001', 1, %L, null,
        '2026-11-07 12:00+00') $$, reason),
    'PT404', 'user_not_found', reason || ': nothing is given to nobody'
)
from unnest(array['promo_grant', 'guest_merge_in']) as reason;
select is_empty(
    $$ select r.* from unnest(array['cccccccc-0000-4000-8000-000000000001',
           'cccccccc-0000-4000-8000-000000000002',
           'dddddddd-0000-4000-8000-000000000001']::uuid[]) as u
       cross join lateral public.reconcile_credits(u) as r
       where r.problem <> 'purchase_differs_from_ledger' $$,
    'their books agree, but for purchases that nobody recorded'
);

select * from finish();
rollback;
