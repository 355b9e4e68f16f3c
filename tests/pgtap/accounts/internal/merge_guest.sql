-- An account takes a guest over: its credits come, and the guest is closed.
begin;
select plan(10);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-15 08:00:00+00'; end;
do $$ begin
    perform rendio.ensure_partitions();
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000002', 'ada-tablet');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    update public.users set is_guest = false
    where id in ('aaaaaaaa-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001');
end $$;
create function pg_temp.merge(p_guest_id uuid, p_account_id uuid) returns void language sql as $$
    select rendio.merge_guest(u, p_account_id, '2030-01-16 08:00:00+00') from public.users as u
    where u.id = p_guest_id;
$$;

insert into public.consumption_consents (user_id, consented_at) values
('aaaaaaaa-0000-4000-8000-000000000002', '2030-01-15'),
('bbbbbbbb-0000-4000-8000-000000000001', '2030-01-15');
do $$ begin
    perform pg_temp.merge('aaaaaaaa-0000-4000-8000-000000000002',
        'aaaaaaaa-0000-4000-8000-000000000001');
end $$;
select results_eq(
    $$ select credits_remaining::bigint, merged_into, updated_at, is_guest from public.users
       where id = 'aaaaaaaa-0000-4000-8000-000000000002' $$,
    $$ values (0::bigint, 'aaaaaaaa-0000-4000-8000-000000000001'::uuid,
       timestamptz '2030-01-16 08:00:00+00', true) $$,
    'Ada''s tablet is empty and knows where it went'
);
select is(
    (select credits_remaining::bigint from public.users
     where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    20::bigint, 'her account has both'
);
select throws_ok(
    $$ select pg_temp.merge('aaaaaaaa-0000-4000-8000-000000000002',
       'bbbbbbbb-0000-4000-8000-000000000001') $$,
    'PT409', 'account_merged', 'a merged guest is not merged again'
);
select throws_ok(
    $$ select pg_temp.merge('bbbbbbbb-0000-4000-8000-000000000001',
       'aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT409', 'invalid_transition', 'and no account, which may be another person''s'
);
insert into public.users (id, deleted_at) values
('cccccccc-0000-4000-8000-000000000001', '2030-01-15 08:00:00+00');
select throws_ok(
    $$ select pg_temp.merge('cccccccc-0000-4000-8000-000000000001',
       'aaaaaaaa-0000-4000-8000-000000000001') $$,
    'PT409', 'invalid_transition', 'and no deleted guest'
);
select results_eq(
    $$ select id, credits_remaining::bigint from public.users where merged_into is null
       order by id $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, 20::bigint),
       ('bbbbbbbb-0000-4000-8000-000000000001', 10),
       ('cccccccc-0000-4000-8000-000000000001', 0) $$,
    'a refused merge moves nothing'
);
select results_eq(
    'select user_id from public.consumption_consents order by 1',
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid),
       ('bbbbbbbb-0000-4000-8000-000000000001') $$,
    'what the tablet consented to is the account''s; a refused merge moves no consent'
);

-- Dan's tablet owes 20 and has 50 of another purchase, which it may keep, with Dan as without; his
-- account owes 20 as well, which the 50 pay.
create function pg_temp.debtor(p_user_id uuid, p_device text, p_transaction text) returns void
language plpgsql as $$ begin
    perform public.device_check(p_user_id, p_device);
    perform public.record_iap_purchase(
        p_user_id, 'app_store', 'Production', p_transaction, 'credits_20'
    );
    perform public.add_credits(
        p_user_id, -20 - case when p_device = 'dan-phone' then 10 else 0 end,
        'admin_adjustment', gen_random_uuid()
    );
    if p_device = 'dan-tablet' then
        perform public.record_iap_purchase(
            p_user_id, 'app_store', 'Production', 'more', 'credits_50'
        );
    end if;
    perform public.apply_store_notification(
        'app_store', 'Production', p_transaction || '-back', 'REFUND', p_transaction, '{}',
        '2030-01-15 09:00:00+00'
    );
end $$;
do $$ begin
    perform pg_temp.debtor('dddddddd-0000-4000-8000-000000000001', 'dan-phone', 'd1');
    perform pg_temp.debtor('dddddddd-0000-4000-8000-000000000002', 'dan-tablet', 'd2');
    update public.users set is_guest = false
    where id = 'dddddddd-0000-4000-8000-000000000001';
end $$;
create temp view dan as
select rendio.credits_owed('dddddddd-0000-4000-8000-000000000001') as owed,
    rendio.credits_owed('dddddddd-0000-4000-8000-000000000002') as guest_owes,
    (select credits_remaining::bigint from public.users
     where id = 'dddddddd-0000-4000-8000-000000000001') as credits;
select results_eq('select owed, guest_owes from dan', $$ values (20::bigint, 10::bigint) $$,
    'both owe');
do $$ begin
    perform pg_temp.merge('dddddddd-0000-4000-8000-000000000002',
        'dddddddd-0000-4000-8000-000000000001');
end $$;
select results_eq(
    'select * from dan', $$ values (10::bigint, 0::bigint, 30::bigint) $$,
    'what comes pays what the account owed, not what the guest did'
);
select is_empty($$ select * from public.reconcile_credits() $$, 'the books agree');

select * from finish();
rollback;
