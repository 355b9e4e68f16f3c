-- Which partitions there should be and are not.
begin;
select plan(4);

create function pg_temp.missing(p_now timestamptz) returns text language sql as $$
    select string_agg(to_char(starts_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), ', '
        order by starts_at)
    from rendio.missing_partitions(
        (select p from rendio.partition_policies as p where p.parent = 'public.quota_log'), p_now
    )
$$;
select is(
    pg_temp.missing('2031-11-30 23:59:59.999999+00'),
    '2031-11-01 00:00, 2031-12-01 00:00, 2032-01-01 00:00, 2032-02-01 00:00',
    'the current month and three ahead'
);
set local timezone = 'Pacific/Auckland';
select is(
    pg_temp.missing('2031-11-30 23:59:59.999999+00'),
    '2031-11-01 00:00, 2031-12-01 00:00, 2032-01-01 00:00, 2032-02-01 00:00',
    'by UTC, where it is December already'
);
set local timezone = 'UTC';

-- Wherever the default partition holds rows, a partition is missing too.
insert into public.quota_log (user_id, seq, created_at, balance_after, change, reason) values
('aaaaaaaa-0000-4000-8000-000000000001', 1, '2001-02-28 23:59:59.999999+00', 1, 1, 'promo_grant'),
('aaaaaaaa-0000-4000-8000-000000000001', 2, '2001-02-01 00:00+00', 2, 1, 'promo_grant'),
('aaaaaaaa-0000-4000-8000-000000000001', 3, '2001-03-01 00:00+00', 3, 1, 'promo_grant');
select is(
    pg_temp.missing('2031-11-01 00:00+00'),
    '2001-02-01 00:00, 2001-03-01 00:00, 2031-11-01 00:00, 2031-12-01 00:00, 2032-01-01 00:00, '
    '2032-02-01 00:00',
    'a month for each that has rows without a partition'
);

-- What exists is not missing.
create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2031-10-31 12:00+00'; end;
do $$ begin perform rendio.ensure_partitions(); end $$;
select is(
    pg_temp.missing('2031-11-30 12:00+00'), '2032-02-01 00:00', 'a month later one is missing'
);

select * from finish();
rollback;
