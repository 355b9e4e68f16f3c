-- The account is closed, and who it was erased; that a device had its credits is not.
begin;
select plan(13);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_ada, 'ada-phone', 'de');
    perform public.device_check(v_ada, 'ada-tablet');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone', 'fr');
    perform public.link_apple_account(v_ada, 'ada-sub', 'ada@example.com');
    perform public.add_credits(v_ada, 5, 'promo_grant', gen_random_uuid());
    perform public.add_credits('bbbbbbbb-0000-4000-8000-000000000001', 5, 'promo_grant',
        gen_random_uuid());
    update public.users set tier = 'premium', theme_preference = 'dark';
    perform rendio.forget_person(v_ada, v_ada, '2030-01-16 08:00:00+00');
end $$;

select results_eq(
    $$ select id, credits_remaining::bigint, deleted_at, updated_at, is_guest, tier::text,
           language::text, theme_preference::text
       from public.users order by id $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, 0::bigint,
        timestamptz '2030-01-16 08:00:00+00', timestamptz '2030-01-16 08:00:00+00', false, 'free',
        'en', 'system'),
       ('bbbbbbbb-0000-4000-8000-000000000001', 15, null, '2030-01-15 08:00:00+00', true,
        'premium', 'fr', 'dark') $$,
    'Ada''s account has no credits, no preferences and an end; Ben''s has all'
);
select results_eq(
    $$ select seq, change::bigint, balance_after::bigint, reason::text from public.quota_log
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' order by seq $$,
    $$ values (1::bigint, 10::bigint, 10::bigint, 'initial_grant'), (2, 5, 15, 'promo_grant'),
       (3, -15, 0, 'credit_expired') $$,
    'the ledger says what she had and that it is lost'
);
select results_eq(
    $$ select kind, identifier, email, initial_grant_claimed from public.account_identities
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' order by kind, identifier $$,
    $$ select * from (values ('apple_digest', rendio.forgotten('ada-sub'), null::text, true),
       ('device_digest', rendio.forgotten('ada-phone'), null, true),
       ('device_digest', rendio.forgotten('ada-tablet'), null, false)) as t order by 1, 2 $$,
    'of her devices and her Apple id there is a digest, and whether the grant was given'
);
select results_eq(
    $$ select user_id, identifier from public.account_identities
       where kind not like '%_digest' $$,
    $$ values ('bbbbbbbb-0000-4000-8000-000000000001'::uuid, 'ben-phone') $$,
    'Ben''s phone has its name'
);
select results_eq(
    $$ select user_id from public.idempotency_log $$,
    $$ values ('bbbbbbbb-0000-4000-8000-000000000001'::uuid) $$, 'answers to her calls are gone'
);
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

-- Her phone and her Apple id come back as somebody new.
select is(
    public.device_check('aaaaaaaa-0000-4000-8000-000000000009', 'ada-phone') - 'user_id',
    '{"is_new": true, "is_guest": true, "tier": "free", "credits_remaining": 0}',
    'a newcomer on her phone gets no second grant'
);
select is(
    public.device_check('aaaaaaaa-0000-4000-8000-000000000008', 'ada-tablet')
    ->> 'credits_remaining',
    '10', 'on her tablet, which never had one, its first'
);
select is(
    public.link_apple_account('aaaaaaaa-0000-4000-8000-000000000009', 'ada-sub') ->> 'user_id',
    'aaaaaaaa-0000-4000-8000-000000000009', 'the Apple id is free'
);

-- And are forgotten once more.
do $$ begin
    perform rendio.forget_person('aaaaaaaa-0000-4000-8000-000000000008',
        'aaaaaaaa-0000-4000-8000-000000000008', '2030-01-17 08:00:00+00');
    perform rendio.forget_person('aaaaaaaa-0000-4000-8000-000000000009',
        'aaaaaaaa-0000-4000-8000-000000000009', '2030-01-17 08:00:00+00');
end $$;
select set_eq(
    $$ select kind, identifier, initial_grant_claimed from public.account_identities
       where user_id <> 'bbbbbbbb-0000-4000-8000-000000000001' $$,
    $$ values ('apple_digest', rendio.forgotten('ada-sub'), true),
       ('device_digest', rendio.forgotten('ada-phone'), true),
       ('device_digest', rendio.forgotten('ada-tablet'), true) $$,
    'one digest each; what was ever granted stays so'
);
select is(
    (public.device_check('aaaaaaaa-0000-4000-8000-000000000007', 'ada-tablet'))
    ->> 'credits_remaining',
    '0', 'and is not granted again'
);
select is_empty($$ select * from public.reconcile_credits() $$, 'the books still agree');

-- Ben was merged into somebody's account before his own could be deleted.
update public.users set merged_into = 'aaaaaaaa-0000-4000-8000-000000000007'
where id = 'bbbbbbbb-0000-4000-8000-000000000001';
select throws_ok(
    $$ select rendio.forget_person('bbbbbbbb-0000-4000-8000-000000000001',
       'bbbbbbbb-0000-4000-8000-000000000001', '2030-01-17 08:00:00+00') $$,
    'PT409', 'account_merged', 'what became another account''s is not deleted with his'
);

select * from finish();
rollback;
