-- A partition is named after the time it starts at, in UTC.
begin;
select plan(3);

create function pg_temp.name(p_step interval, p_from timestamptz) returns text
language sql as $$
    select rendio.partition_name(row('public.story_log', p_step, 3)::rendio.partition_policies,
        p_from)
$$;
select is(
    pg_temp.name('1 month', '2030-02-01 00:00+00'), 'story_log_2030_02', 'a month by its number'
);
select is(
    pg_temp.name('1 day', '2030-02-01 00:00+00'), 'story_log_2030_02_01', 'a day by its date'
);
set local timezone = 'America/Los_Angeles';
select is(
    pg_temp.name('1 month', '2030-02-01 00:00+00'), 'story_log_2030_02',
    'also where it is still January'
);

select * from finish();
rollback;
