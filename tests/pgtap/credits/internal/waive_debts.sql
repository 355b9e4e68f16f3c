-- What a user owes for refunded purchases is forgiven.
begin;
select plan(10);

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

insert into public.users (id, is_blocked) values
('aaaaaaaa-0000-4000-8000-000000000001', true), ('bbbbbbbb-0000-4000-8000-000000000001', true);
insert into public.purchase_revocations (
    user_id, origin, revoked, recovered, repaid, waived, policy, created_at
)
select user_id::uuid, gen_random_uuid(), revoked, recovered, repaid, waived, policy, '2030-01-15'
from (values
    ('aaaaaaaa-0000-4000-8000-000000000001', 20, 5, 3, 2, 'debt'),
    ('aaaaaaaa-0000-4000-8000-000000000001', 7, 0, 0, 0, 'block'),
    ('aaaaaaaa-0000-4000-8000-000000000001', 30, 4, 0, 29, 'block'),
    ('aaaaaaaa-0000-4000-8000-000000000001', 50, 50, 0, 0, 'debt'),
    ('aaaaaaaa-0000-4000-8000-000000000001', 100, 1, 0, 0, 'forgive'),
    ('bbbbbbbb-0000-4000-8000-000000000001', 30, 0, 0, 0, 'block')
) as r (user_id, revoked, recovered, repaid, waived, policy);

select is(
    rendio.waive_debts('aaaaaaaa-0000-4000-8000-000000000001'), 17::bigint,
    'Ada owed 10 and 7'
);
select results_eq(
    $$ select revoked, recovered, repaid, waived, policy from public.purchase_revocations
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' order by revoked $$,
    $$ values (7::bigint, 0::bigint, 0::bigint, 7::bigint, 'block'), (20, 5, 3, 12, 'debt'),
       (30, 4, 0, 29, 'block'), (50, 50, 0, 0, 'debt'), (100, 1, 0, 0, 'forgive') $$,
    'no more; what was refunded and taken, the policies, and older waivers stay as they are'
);
select is(
    (select is_blocked from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    false, 'and she may spend again'
);
select is(
    rendio.waive_debts('aaaaaaaa-0000-4000-8000-000000000001'), 0::bigint, 'once more it is nothing'
);
select is(
    pg_temp.rows_written_by(
        $$ select rendio.waive_debts('aaaaaaaa-0000-4000-8000-000000000001') $$),
    0::bigint, 'and writes nothing'
);
-- The store takes eight more: of the seven three, of the fifty five.
do $$ begin
    update public.purchase_revocations
    set revoked = revoked + case revoked when 7 then 3 else 5 end
    where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and revoked in (7, 50);
    perform rendio.set_blocked('aaaaaaaa-0000-4000-8000-000000000001');
end $$;
select is(
    (select is_blocked from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    true, 'a further refund is none that was forgiven'
);
select is(
    rendio.waive_debts('aaaaaaaa-0000-4000-8000-000000000001'), 8::bigint, 'until that is, too'
);
select results_eq(
    $$ select revoked, waived from public.purchase_revocations
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' order by revoked $$,
    $$ values (10::bigint, 10::bigint), (20, 12), (30, 29), (55, 5), (100, 0) $$,
    'which adds to what was'
);
select is(
    rendio.credits_owed('bbbbbbbb-0000-4000-8000-000000000001'), 30::bigint, 'Ben owes as before'
);
select is(
    (select is_blocked from public.users where id = 'bbbbbbbb-0000-4000-8000-000000000001'),
    true, 'and is blocked as before'
);

select * from finish();
rollback;
