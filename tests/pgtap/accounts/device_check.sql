-- How an account begins, and who answers when a device comes back.
begin;
select plan(48);

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

-- Ada opens the app on her phone, for the first time.
set local role service_role;
select is(
    public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone'),
    '{"user_id": "aaaaaaaa-0000-4000-8000-000000000001", "is_new": true, "is_guest": true,
      "tier": "free", "credits_remaining": 10}',
    'a first call creates the guest, with 10 credits'
);
reset role;
select is(
    (select language from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001'), 'en',
    'the language is English when the app says nothing'
);
select results_eq(
    $$ select seq, change::bigint, balance_after::bigint, reason::text, job_id, is_sandbox
       from public.quota_log
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' $$,
    $$ values (1::bigint, 10::bigint, 10::bigint, 'initial_grant', null::uuid, false) $$,
    'the grant is the first entry of her ledger'
);
select results_eq(
    $$ select seq, amount, remaining, kind, priority from public.credit_grants
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' $$,
    $$ values (1::bigint, 10::bigint, 10::bigint, 'promotional', 10::smallint) $$,
    'and its first lot, promotional'
);
select results_eq(
    $$ select kind, user_id, initial_grant_claimed from public.account_identities
       where identifier = 'ada-phone' $$,
    $$ values ('device', 'aaaaaaaa-0000-4000-8000-000000000001'::uuid, true) $$,
    'the device is hers, its grant claimed'
);

-- She opens it again.
select is(
    public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone'),
    '{"user_id": "aaaaaaaa-0000-4000-8000-000000000001", "is_new": false, "is_guest": true,
      "tier": "free", "credits_remaining": 10}',
    'a second call finds the same guest and grants nothing'
);
select is(
    pg_temp.rows_written_by($$ select public.device_check(
        'aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone', 'de') $$),
    0::bigint,
    'a known user on a known device writes nothing'
);
select is(
    public.device_check(null, 'ada-phone') ->> 'user_id', 'aaaaaaaa-0000-4000-8000-000000000001',
    'without an id the device answers with its guest'
);

-- She reinstalls: a new user id on the old device.
select is(
    public.device_check('aaaaaaaa-0000-4000-8000-000000000002', 'ada-phone', 'pt-BR'),
    '{"user_id": "aaaaaaaa-0000-4000-8000-000000000002", "is_new": true, "is_guest": true,
      "tier": "free", "credits_remaining": 0}',
    'a new user on a device that had its grant starts with nothing'
);
select is(
    (select language from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000002'),
    'pt-BR', 'the app''s language is kept with the new user'
);
select is(
    (select user_id from public.account_identities where identifier = 'ada-phone'),
    'aaaaaaaa-0000-4000-8000-000000000001', 'and the device stays with whom it was'
);

-- She takes her old account to a tablet.
select is(
    public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-tablet'),
    '{"user_id": "aaaaaaaa-0000-4000-8000-000000000001", "is_new": false, "is_guest": true,
      "tier": "free", "credits_remaining": 10}',
    'an old user on a new device gets no second grant'
);
select is(
    (select initial_grant_claimed from public.account_identities where identifier = 'ada-tablet'),
    false, 'the tablet''s own grant is still to be had'
);
select is(
    (public.device_check('aaaaaaaa-0000-4000-8000-000000000003', 'ada-tablet'))
    ->> 'credits_remaining', '10', 'by the first user who is created on it'
);

-- A device nobody knows, and no id.
select is(
    public.device_check(null, 'unknown') - 'user_id',
    '{"is_new": true, "is_guest": true, "tier": "free", "credits_remaining": 10}',
    'an unknown device without an id makes a guest'
);
select is(
    public.device_check(null, 'unknown') ->> 'user_id',
    (select user_id::text from public.account_identities where identifier = 'unknown'),
    'and finds the same one again'
);

-- Ben's account is no guest any more; his old phone is on sale.
do $$ begin
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    update public.users set is_guest = false, tier = 'premium'
    where id = 'bbbbbbbb-0000-4000-8000-000000000001';
end $$;
select is(
    public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone'),
    '{"user_id": "bbbbbbbb-0000-4000-8000-000000000001", "is_new": false, "is_guest": false,
      "tier": "premium", "credits_remaining": 10}',
    'with his id Ben is answered, whatever he became'
);
select is(
    public.device_check(null, 'ben-phone') - 'user_id',
    '{"is_new": true, "is_guest": true, "tier": "free", "credits_remaining": 0}',
    'without an id the phone never answers with his account, and its grant is spent'
);
select isnt(
    public.device_check(null, 'ben-phone') ->> 'user_id', 'bbbbbbbb-0000-4000-8000-000000000001',
    'not the second time either'
);
select is(
    public.device_check(null, 'ben-phone') ->> 'is_new', 'false',
    'the buyer''s guest stays the phone''s'
);

-- A guest that was merged away.
do $$ begin
    perform public.device_check('cccccccc-0000-4000-8000-000000000001', 'eve-phone');
    update public.users set merged_into = 'bbbbbbbb-0000-4000-8000-000000000001'
    where id = 'cccccccc-0000-4000-8000-000000000001';
end $$;
select is(
    public.device_check(null, 'eve-phone') ->> 'is_new', 'true',
    'a merged guest does not answer for its device'
);
select is(
    public.device_check('cccccccc-0000-4000-8000-000000000001', 'eve-phone') ->> 'user_id',
    'cccccccc-0000-4000-8000-000000000001', 'but answers when it is named'
);

-- A deleted account, and its device in somebody else's hands.
do $$ begin
    perform public.device_check('dddddddd-0000-4000-8000-000000000001', 'dan-phone');
    perform public.device_check('dddddddd-0000-4000-8000-000000000001', 'dan-tablet');
    perform public.delete_account('dddddddd-0000-4000-8000-000000000001');
end $$;
select throws_ok(
    $$ select public.device_check('dddddddd-0000-4000-8000-000000000001', 'dan-phone') $$,
    'PT404', 'user_not_found', 'a deleted account does not answer'
);
select throws_ok(
    $$ select public.device_check('dddddddd-0000-4000-8000-000000000001', 'another phone') $$,
    'PT404', 'user_not_found', 'on no device'
);
select is_empty(
    $$ select * from public.account_identities where identifier in ('dan-phone', 'another phone') $$,
    'and claims none'
);
select is(
    public.device_check(null, 'dan-phone') - 'user_id',
    '{"is_new": true, "is_guest": true, "tier": "free", "credits_remaining": 0}',
    'its device makes a new guest, without the credits that it has had'
);
select is(
    (select initial_grant_claimed from public.account_identities where identifier = 'dan-phone'),
    true, 'which stays known for the guests to come'
);
select is(
    public.device_check(null, 'dan-tablet') ->> 'credits_remaining', '10',
    'a device that has had none gets them'
);
-- The guest of a device is deleted without its claim, as if by hand: no answer from the grave.
update public.users set deleted_at = now()
where id = (select user_id from public.account_identities where identifier = 'dan-tablet');
select is(
    public.device_check(null, 'dan-tablet') - 'user_id',
    '{"is_new": true, "is_guest": true, "tier": "free", "credits_remaining": 0}',
    'a deleted guest never answers for its device'
);

-- The operator changes the initial grant.
update public.app_settings set value = '25' where key = 'initial_grant';
select is(
    public.device_check(null, 'generous') ->> 'credits_remaining', '25',
    'the grant is what the setting says'
);
update public.app_settings set value = '0' where key = 'initial_grant';
select is(
    public.device_check(null, 'thrifty') ->> 'credits_remaining', '0', 'zero gives nothing'
);
select is(
    (select count(*)::integer from public.quota_log as q
     join public.account_identities as i on i.user_id = q.user_id
     where i.identifier = 'thrifty'),
    0, 'and writes no ledger entry'
);
delete from public.app_settings where key = 'initial_grant';
select is(
    public.device_check(null, 'unset') ->> 'credits_remaining', '0',
    'a setting that is missing gives nothing'
);

-- Limits.
select lives_ok(
    $$ select public.device_check(null, repeat('ü', 255)) $$, 'a device id may have 255 characters'
);
select throws_ok(
    $$ select public.device_check(null, repeat('ü', 256)) $$,
    'PT413', 'payload_too_large', 'but not 256'
);
select throws_ok(
    $$ select public.device_check('aaaaaaaa-0000-4000-8000-000000000001', '') $$,
    'PT400', 'invalid_argument', 'an empty device id is refused'
);
select throws_ok(
    $$ select public.device_check('aaaaaaaa-0000-4000-8000-000000000001', null) $$,
    'PT400', 'invalid_argument', 'and so is none'
);
select throws_ok(
    $$ select public.device_check(null, 'd', null) $$,
    'PT400', 'invalid_argument', 'a null language is refused'
);
select throws_ok(
    $$ select public.device_check(null, 'd', 'english') $$,
    'PT400', 'invalid_argument', 'and so is one that is no tag'
);
select throws_ok(
    $$ select public.device_check(null, 'd', repeat('en', 5000)) $$,
    'PT400', 'invalid_argument', 'however long it is'
);
select lives_ok(
    $$ select public.device_check(null, 'd', 'zh-Hant-TW') $$, 'script and region may be named'
);

-- Only the service may call it.
set local role anon;
select throws_ok(
    $$ select public.device_check(null, 'ada-phone') $$, '42501', null, 'anon may not call it'
);
set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select throws_ok(
    $$ select public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone') $$,
    '42501', null, 'nor may Ada herself'
);
reset role;
grant execute on function public.device_check to authenticated;
set local role authenticated;
set local request.jwt.claims
= '{"sub": "aaaaaaaa-0000-4000-8000-000000000001", "role": "service_role"}';
select throws_ok(
    $$ select public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone') $$,
    'PT403', 'service_only', 'a claimed role is no role'
);
reset role;

select is_empty(
    $$ select * from public.reconcile_credits() where problem <> 'closed_account_holds_credits' $$,
    'the books agree, but for the two that were closed by hand'
);

-- Eve has installed the app anew; Apple remembers her phone.
insert into public.app_settings (key, value) values ('initial_grant', '10')
on conflict (key) do update set value = excluded.value;
select is(
    public.device_check(null, 'eve-phone, again', 'en', true) - 'user_id',
    '{"is_new": true, "is_guest": true, "tier": "free", "credits_remaining": 0}',
    'a device that had its credits under another id gets no more'
);
select is(
    (select initial_grant_claimed from public.account_identities
     where identifier = 'eve-phone, again'),
    true, 'which is remembered here too'
);
select is(
    public.device_check(null, 'eve-tablet', 'en', null) ->> 'credits_remaining', '10',
    'a device that nobody spoke of is new'
);

select * from finish();
rollback;
