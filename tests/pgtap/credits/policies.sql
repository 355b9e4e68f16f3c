-- A ledger is its owner's to read and nobody's to write, the database's owner included.
begin;
select plan(26);

do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
end $$;

set local role authenticated;
set local request.jwt.claims = '{"sub": "aaaaaaaa-0000-4000-8000-000000000001"}';
select results_eq(
    $$ select user_id, change::bigint from public.quota_log $$,
    $$ values ('aaaaaaaa-0000-4000-8000-000000000001'::uuid, 10::bigint) $$,
    'Ada reads her own ledger'
);
select throws_ok(
    $$ insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason)
       values ('aaaaaaaa-0000-4000-8000-000000000001', 2, now(), 1010, 1000, 'promo_grant') $$,
    '42501', null, 'she writes nothing into it'
);
select throws_ok($$ update public.quota_log set change = 1000 $$, '42501', null, 'changes nothing');
select throws_ok($$ delete from public.quota_log $$, '42501', null, 'deletes nothing');
select throws_ok($$ truncate public.quota_log $$, '42501', null, 'and does not empty it');
select throws_ok(
    $$ select * from public.credit_grants $$, '42501', null, 'lots are not hers to see'
);
select throws_ok(
    $$ select * from public.credit_draws $$, '42501', null, 'nor what her jobs drew from them'
);
select throws_ok(
    format($$ select * from rendio.%I $$, c.relname), '42501', null,
    format('partition %s is no back door', c.relname)
)
from pg_class as c
join pg_inherits as i on i.inhrelid = c.oid
where i.inhparent = 'public.quota_log'::regclass
order by c.relname;

set local role anon;
select throws_ok($$ select * from public.quota_log $$, '42501', null, 'anon reads no ledger');
select throws_ok($$ truncate public.quota_log $$, '42501', null, 'and does not empty it');

set local role service_role;
select is(
    (select count(*)::integer from public.quota_log
     where user_id in ('aaaaaaaa-0000-4000-8000-000000000001',
         'bbbbbbbb-0000-4000-8000-000000000001')),
    2, 'the service reads all'
);
select isnt_empty($$ select * from public.credit_grants $$, 'lots too');
select lives_ok($$ select * from public.credit_draws $$, 'and draws');
select throws_ok(
    $$ insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason)
       values ('aaaaaaaa-0000-4000-8000-000000000001', 2, now(), 1010, 1000, 'promo_grant') $$,
    '42501', null, 'but writes only through functions'
);
select throws_ok($$ delete from public.quota_log $$, '42501', null, 'and deletes nothing');
select throws_ok(
    $$ select * from rendio.quota_log_default $$, '42501', null, 'not even through a partition'
);

-- Append-only holds for the owner of the tables, whose functions could otherwise be tricked.
reset role;
set local role rendio_owner;
select throws_ok(
    $$ update public.quota_log set change = 1000 $$, '42501', null, 'the owner changes nothing'
);
select throws_ok($$ delete from public.quota_log $$, '42501', null, 'deletes nothing');
select throws_ok($$ truncate public.quota_log $$, '42501', null, 'and does not empty it');
select throws_ok(
    $$ delete from rendio.quota_log_default $$, '42501', null, 'through no partition either'
);
reset role;

-- What the tables themselves hold, for whoever writes.
select throws_ok(
    $$ update public.users set credits_remaining = -1
       where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$,
    '23514', null, 'a balance is never negative'
);
-- 23503 until PostgreSQL 17, 23001 from 18.
select throws_like(
    $$ delete from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001' $$,
    '%credit_grants_user_id_fkey%', 'an account with credits is not deleted, and its ledger with it'
);

select * from finish();
rollback;
