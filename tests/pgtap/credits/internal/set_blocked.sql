-- Under the policy block nothing can be spent while something is owed.
begin;
select plan(14);

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
create function pg_temp.is_blocked_by(
    p_recovered bigint, p_policy text, p_repaid bigint default 0, p_waived bigint default 0
) returns boolean language plpgsql as $$
begin
    update public.purchase_revocations
    set recovered = p_recovered, policy = p_policy, repaid = p_repaid, waived = p_waived
    where user_id = 'aaaaaaaa-0000-4000-8000-000000000001';
    perform rendio.set_blocked('aaaaaaaa-0000-4000-8000-000000000001');
    return (
        select is_blocked from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001'
    );
end $$;

-- Ada has had 20 credits refunded; Ben's refund is open, and nobody looks at it.
insert into public.users (id) values
('aaaaaaaa-0000-4000-8000-000000000001'), ('bbbbbbbb-0000-4000-8000-000000000001');
insert into public.purchase_revocations (user_id, origin, revoked, policy, created_at) values
('aaaaaaaa-0000-4000-8000-000000000001', gen_random_uuid(), 20, 'block', '2030-01-15'),
('bbbbbbbb-0000-4000-8000-000000000001', gen_random_uuid(), 20, 'block', '2030-01-15');
select is(pg_temp.is_blocked_by(0, 'debt'), false, 'who has a debt may go on');
select is(pg_temp.is_blocked_by(0, 'forgive'), false, 'and who was forgiven');
select is(pg_temp.is_blocked_by(0, 'block'), true, 'under the policy block she may not');
select is(pg_temp.is_blocked_by(19, 'block'), true, 'while one credit is owed');
select is(
    pg_temp.rows_written_by(
        $$ select rendio.set_blocked('aaaaaaaa-0000-4000-8000-000000000001') $$),
    0::bigint, 'to say so again writes nothing'
);
select is(pg_temp.is_blocked_by(20, 'block'), false, 'when all was taken she may again');
select is(
    pg_temp.rows_written_by(
        $$ select rendio.set_blocked('aaaaaaaa-0000-4000-8000-000000000001') $$),
    0::bigint, 'which is written once, too'
);
select is(pg_temp.is_blocked_by(5, 'block', 8, 6), true, 'by whomever: one is owed');
select is(pg_temp.is_blocked_by(5, 'block', 8, 7), false, 'and is not');
select is(pg_temp.is_blocked_by(0, 'block', 0, 19), true, 'of twenty nineteen are forgiven');
select is(pg_temp.is_blocked_by(4, 'block', 0, 20), false, 'of twenty all, and four were there');
select is(pg_temp.is_blocked_by(0, 'block', 20, 0), false, 'others paid all of it');
select is(
    (select is_blocked from public.users where id = 'bbbbbbbb-0000-4000-8000-000000000001'),
    false, 'nothing of it was about Ben'
);

-- One of two refunds is enough.
insert into public.purchase_revocations (user_id, origin, revoked, policy, created_at) values
('aaaaaaaa-0000-4000-8000-000000000001', gen_random_uuid(), 1, 'block', '2030-01-16');
do $$ begin perform rendio.set_blocked('aaaaaaaa-0000-4000-8000-000000000001'); end $$;
select is(
    (select is_blocked from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001'),
    true, 'another refund blocks her once more'
);

select * from finish();
rollback;
