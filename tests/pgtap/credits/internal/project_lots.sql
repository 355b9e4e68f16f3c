-- The lots as of the last entry, made of the ledger and written nowhere.
begin;
set local timezone = 'UTC';
select plan(11);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
create function pg_temp.lots() returns setof text language sql as $$
    select concat_ws(' ', g.seq, g.n, g.remaining)
    from public.users as u, unnest((rendio.project_lots(u)).lots) as g
    where u.id = 'aaaaaaaa-0000-4000-8000-000000000001'
    order by g.seq, g.n;
$$;
create function pg_temp.draws() returns setof text language sql as $$
    select concat_ws(' ', d.n, d.lot_seq, d.lot_n, d.credits)
    from public.users as u, unnest((rendio.project_lots(u)).draws) as d
    where u.id = 'aaaaaaaa-0000-4000-8000-000000000001'
    order by d.job_id, d.n;
$$;

-- A grant of 10 for ever, one of 3 until 1 February, and a video at 4.
set local story.now = '2030-01-15 08:00:00+00';
do $$
declare
    v_ada uuid := 'aaaaaaaa-0000-4000-8000-000000000001';
begin
    perform rendio.ensure_partitions();
    perform public.device_check(v_ada, 'ada-phone');
    perform public.device_check('bbbbbbbb-0000-4000-8000-000000000001', 'ben-phone');
    perform public.add_credits(v_ada, 3, 'promo_grant', gen_random_uuid(), '2030-02-01');
    perform public.generate_video_atomic(v_ada, '5f3b1e70-0000-4000-8000-000000000001', 'A boat.',
        null, gen_random_uuid());
end $$;
select results_eq(
    'select * from pg_temp.lots()', array['1 1 9', '2 1 0'], 'a debit draws'
);
select results_eq(
    'select * from pg_temp.draws()', array['1 2 1 3', '2 1 1 1'], 'and its job holds what it drew'
);

-- Folded, then a refund after a lot's end, with nothing settled.
do $$ begin perform rendio.fold_lots('aaaaaaaa-0000-4000-8000-000000000001'); end $$;
select results_eq(
    'select * from pg_temp.lots()', array['1 1 9', '2 1 0'],
    'an empty lot that a job drew from is still known'
);
set local story.now = '2030-02-01 00:00:00+00';
do $$ begin perform public.cancel_video_job(user_id, job_id) from public.video_jobs; end $$;
select results_eq(
    'select * from pg_temp.lots()', array['1 1 10', '2 1 0', '4 1 3'],
    'a refund returns from the checkpoint''s draws, and opens a lot'
);
select is_empty('select * from pg_temp.draws()', 'the job holds nothing any more');
select results_eq(
    $$ select concat_ws(' ', seq, n, remaining) from public.credit_grants
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' order by seq $$,
    array['1 1 9', '2 1 0'], 'the tables are as they were'
);

-- An expiry names its lot: on 8 February the refunded credits are over.
set local story.now = '2030-02-08 00:00:00+00';
do $$ begin
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', -2, 'admin_adjustment',
        gen_random_uuid());
end $$;
select results_eq(
    'select * from pg_temp.lots()', array['1 1 8'],
    'it is taken from that lot, which is empty and forgotten; the adjustment from the next'
);
select results_eq(
    $$ select reason::text, lot_seq from public.quota_log
       where user_id = 'aaaaaaaa-0000-4000-8000-000000000001' and seq > 4 order by seq $$,
    $$ values ('credit_expired', 4::bigint), ('admin_adjustment', null) $$,
    'the entries say so'
);

-- From the first entry on it comes out the same.
create temp table folded as select * from pg_temp.lots() as lot;
update public.users set lots_seq = 0 where id = 'aaaaaaaa-0000-4000-8000-000000000001';
delete from public.credit_grants where seq = 4;
select results_eq(
    $$ select lot from pg_temp.lots() as lot where lot not like '% 0' $$, 'select lot from folded',
    'the ledger alone suffices'
);

-- A ledger that begins with nothing.
insert into public.users (id) values ('cccccccc-0000-4000-8000-000000000001');
select is(
    cardinality((rendio.project_lots(u)).lots), 0, 'no entry, no lots'
) from public.users as u where u.id = 'cccccccc-0000-4000-8000-000000000001';
select is(
    (select sum(g.remaining) from public.users as u, unnest((rendio.project_lots(u)).lots) as g
     where u.id = 'bbbbbbbb-0000-4000-8000-000000000001'),
    10::numeric, 'Ben''s lots are his own'
);

select * from finish();
rollback;
