-- A stretch of a ledger, newest first, month by month.
begin;
select plan(11);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;

set local story.now = '2030-01-31 23:59:59.999999+00';
do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform set_config('story.now', '2030-02-01 00:00:00+00', true);
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 1, 'promo_grant',
        gen_random_uuid());
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 1, 'promo_grant',
        gen_random_uuid());
    perform set_config('story.now', '2031-03-30 12:00:00+00', true);
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 1, 'promo_grant',
        gen_random_uuid());
end $$;

create function pg_temp.seqs(p_until timestamptz, p_before_seq bigint, p_limit integer)
returns bigint[] language plpgsql as $$
declare
    v_user public.users;
    v_seqs bigint[] := '{}';
    v_entry public.quota_log;
begin
    select * into v_user from public.users where id = 'aaaaaaaa-0000-4000-8000-000000000001';
    for v_entry in select * from rendio.ledger_page(v_user, p_until, p_before_seq, p_limit) loop
        v_seqs := v_seqs || v_entry.seq;
    end loop;
    return v_seqs;
end $$;

select is(pg_temp.seqs('infinity', 9, 9), '{4,3,2,1}', 'all of it, newest first');
select is(pg_temp.seqs('infinity', 9, 2), '{4,3}', 'not more than asked, across empty months');
select is(pg_temp.seqs('infinity', 3, 9), '{2,1}', 'below a sequence number');
select is(pg_temp.seqs('infinity', 3, 1), '{2}', 'in the middle of a microsecond');
select is(pg_temp.seqs('2030-02-01 00:00:00+00', 9, 9), '{3,2,1}', 'up to a time, inclusive');
select is(pg_temp.seqs('2030-01-31 23:59:59.999999+00', 9, 9), '{1}', 'up to the month before');
select is(pg_temp.seqs('2031-01-01 00:00:00+00', 9, 1), '{3}', 'from an empty month');
select is(pg_temp.seqs('2030-01-31 23:59:59.999998+00', 9, 9), '{}', 'nothing before the first');
select is(pg_temp.seqs('2029-12-01 00:00:00+00', 9, 9), '{}', 'nor in the months before');

-- The session's summer time moves no month: on 30 March 2031 the clocks in Berlin change.
set local timezone = 'Europe/Berlin';
select is(pg_temp.seqs('infinity', 9, 9), '{4,3,2,1}', 'the same in Berlin');
select is(pg_temp.seqs('2030-02-01 00:59:59.999999+01', 9, 9), '{1}', 'and at its midnight');

select * from finish();
rollback;
