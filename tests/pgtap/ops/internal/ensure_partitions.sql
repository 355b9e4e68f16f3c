-- Partitions are there before they are needed; rows that came before them find their place.
begin;
set local timezone = 'UTC';
set local datestyle = 'iso';
select plan(15);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select current_setting('story.now')::timestamptz; end;
create function pg_temp.partitions(p_year text) returns text language sql as $$
    select string_agg(
        c.relname || ' ' || substring(pg_get_expr(c.relpartbound, c.oid) from 'FROM .*'), E'\n'
        order by c.relname
    )
    from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
    where i.inhparent = 'public.quota_log'::regclass and c.relname like '%\_' || p_year || '\_%'
$$;

-- Right after apply: this month and three more.
select is_empty(
    $$ select n from generate_series(0, 3) as n
       where to_regclass('rendio.quota_log_' || to_char(
           date_trunc('month', now() at time zone 'UTC') + n * interval '1 month', 'YYYY_MM'
       )) is null $$,
    'the current month and three ahead exist'
);

-- Years later, on the last microsecond of October, from a session in New Zealand.
set local story.now = '2031-10-31 23:59:59.999999+00';
set local timezone = 'Pacific/Auckland';
select is(rendio.ensure_partitions(), 4, 'this month and three more are made');
set local timezone = 'UTC';
select is(
    pg_temp.partitions('2031') || E'\n' || pg_temp.partitions('2032'),
    'quota_log_2031_10 FROM (''2031-10-01 00:00:00+00'') TO (''2031-11-01 00:00:00+00'')
quota_log_2031_11 FROM (''2031-11-01 00:00:00+00'') TO (''2031-12-01 00:00:00+00'')
quota_log_2031_12 FROM (''2031-12-01 00:00:00+00'') TO (''2032-01-01 00:00:00+00'')
quota_log_2032_01 FROM (''2032-01-01 00:00:00+00'') TO (''2032-02-01 00:00:00+00'')',
    'by UTC months, across the year'
);
select is(rendio.ensure_partitions(), 0, 'a second run makes none');
set local story.now = '2031-11-01 00:00:00+00';
select is(rendio.ensure_partitions(), 1, 'and with the month one more is made');

-- A style that names the time zone: IST is India, Israel and Ireland.
set local story.now = '2041-05-15 00:00:00+00';
set local timezone = 'Asia/Kolkata';
set local datestyle = 'sql, dmy';
do $$ begin perform rendio.ensure_partitions(); end $$;
set local timezone = 'UTC';
set local datestyle = 'iso';
select matches(
    pg_temp.partitions('2041'),
    '^quota_log_2041_05 FROM \(.2041-05-01 00:00:00\+00.\) TO \(.2041-06-01 00:00:00\+00.\)'::text,
    'whatever the style of dates, months begin where they begin'
);

-- A run was missed for years: sales went to the default partition, and move.
set local story.now = '2035-07-31 23:59:59.999999+00';
do $$ begin
    perform public.device_check('aaaaaaaa-0000-4000-8000-000000000001', 'ada-phone');
    perform set_config('story.now', '2035-08-01 00:00:00+00', true);
    perform public.add_credits('aaaaaaaa-0000-4000-8000-000000000001', 5, 'promo_grant',
        gen_random_uuid());
end $$;
select is(
    (select count(*)::integer from rendio.quota_log_default), 2,
    'a sale finds the default partition'
);
select results_eq(
    $$ select problem, actual from public.reconcile_credits() $$,
    $$ values ('entries_in_default_partition', 2::bigint) $$, 'which the proof of the books shows'
);
select is(rendio.ensure_partitions(), 5, 'the months of its rows are made, and those ahead');
select is_empty($$ select * from rendio.quota_log_default $$, 'it is empty again');
select results_eq(
    $$ select seq, tableoid::regclass::text from public.quota_log order by seq $$,
    $$ values (1::bigint, 'rendio.quota_log_2035_07'), (2, 'rendio.quota_log_2035_08') $$,
    'each entry is in its month'
);
select is_empty($$ select * from public.reconcile_credits() $$, 'and the books agree');

-- Every partition is closed, the new ones and the default.
select is_empty(
    $$ select c.relname from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
       where i.inhparent = 'public.quota_log'::regclass and not c.relrowsecurity $$,
    'row security is on in each'
);
select is_empty(
    $$ select c.relname, a.grantee::regrole, a.privilege_type
       from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
       cross join lateral aclexplode(c.relacl) as a
       where i.inhparent = 'public.quota_log'::regclass
           and (a.grantee <> 'rendio_owner'::regrole
               or a.privilege_type in ('UPDATE', 'DELETE', 'TRUNCATE')) $$,
    'nobody but the owner may do anything, and the owner only add and read'
);
select is_empty(
    $$ select c.relname from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
       where i.inhparent = 'public.quota_log'::regclass
           and (c.relacl is null or c.relowner <> 'rendio_owner'::regrole) $$,
    'no partition has default privileges or another owner'
);

select * from finish();
rollback;
