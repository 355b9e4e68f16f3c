-- pg_cron's schedules: what is one, and when it is due. Nothing else knows the grammar.
--
--     minute hour day-of-month month day-of-week     * , - / and names of months and weekdays;
--                                                    $ is the last day of the month
--     [1-59] seconds
--     @hourly @daily @midnight @weekly @monthly @yearly @annually @reboot @restart
--
-- Times are UTC, pg_cron's default. As in pg_cron a field ends where its list ends and what follows
-- up to the next blank is ignored ("5x" is refused, "5;x" is 5), and so is a sixth field; @yearly
-- is taken and never due.
--
-- Two things pg_cron takes and then runs at times nobody meant are refused here: ranges that run
-- backwards ("50-10") and numbers that only fit after an overflow ("4294967296").

create schema if not exists cron_compat;

do $$
begin
    if pg_catalog.to_regtype('cron_compat.schedule') is null then
        create type cron_compat.schedule as (
            seconds integer,
            reboot boolean,
            minutes integer[],
            hours integer[],
            days integer[],
            months integer[],
            weekdays integer[],
            last_day boolean,
            both_days boolean
        );
    end if;
end;
$$;

comment on type cron_compat.schedule is
$$A parsed schedule: an interval in seconds, or once at a restart, or sets of numbers.

weekdays: 0 is Sunday. last_day: of the month. both_days: the day of the month and the weekday must
match, not just one of them.$$;

create or replace function cron_compat.parse_number(
    p_text text, p_low integer, p_high integer, p_names text[] default '{}'
)
returns integer
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    v_name constant integer := pg_catalog.array_position(
        p_names, pg_catalog.lower(p_text collate "C"));
    v_digits constant text := (pg_catalog.regexp_match(p_text, '^0*([0-9]{1,2})$'))[1];
begin
    if v_name is not null then
        return p_low + v_name - 1;
    end if;
    return case when v_digits::integer between p_low and p_high then v_digits::integer end;
end;
$$;

comment on function cron_compat.parse_number(text, integer, integer, text[]) is
$$A number in its bounds, or the number of a name; null when it is neither.$$;

create or replace function cron_compat.parse_field(
    p_field text, p_low integer, p_high integer, p_names text[] default '{}'
)
returns integer[]
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    c_entry constant text :=
        '^((?:(\*)|([0-9A-Za-z]+)(?:-([0-9A-Za-z]*))?)(?:/([0-9A-Za-z]*))?)(,?)';
    v_rest text := p_field;
    v_entry text[];
    v_first integer;
    v_last integer;
    v_step integer;
    v_values integer[] := '{}';
begin
    loop
        v_entry := pg_catalog.regexp_match(v_rest, c_entry);
        if v_entry[2] is not null then
            v_first := p_low;
            v_last := p_high;
        else
            v_first := cron_compat.parse_number(v_entry[3], p_low, p_high, p_names);
            v_last := cron_compat.parse_number(
                coalesce(v_entry[4], v_entry[3]), p_low, p_high, p_names);
        end if;
        -- A step belongs to a star or a range.
        v_step := case
            when v_entry[5] is null then 1
            when v_entry[2] is not null or v_entry[4] is not null
                then cron_compat.parse_number(v_entry[5], 1, p_high)
        end;
        if v_step is null or v_first <= v_last is not true then
            return null;
        end if;
        v_values := v_values
            || array(select pg_catalog.generate_series(v_first, v_last, v_step));
        exit when v_entry[6] = '';
        v_rest := pg_catalog.substr(v_rest, pg_catalog.length(v_entry[1]) + 2);
    end loop;
    return array(select distinct n from pg_catalog.unnest(v_values) as n order by n);
end;
$$;

comment on function cron_compat.parse_field(text, integer, integer, text[]) is
$$The numbers that a list of numbers, names, ranges and steps stands for; null when it is invalid.$$;

create or replace function cron_compat.parse(p_schedule text)
returns cron_compat.schedule
language plpgsql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    c_blank constant text := '[ \t\n\v\f\r]*';
    c_seconds constant text := '^' || c_blank || '\+?([0-9]+)' || c_blank
        || 'second(?:s' || c_blank || ')?$';
    v_text text;
    v_fields text[];
    v_parsed cron_compat.schedule;
begin
    v_parsed.seconds := cron_compat.parse_number(
        (pg_catalog.regexp_match(pg_catalog.lower(p_schedule collate "C"), c_seconds))[1], 1, 59);
    if v_parsed.seconds is not null then
        return v_parsed;
    end if;
    if pg_catalog.octet_length(p_schedule) > 999 then
        return null;
    end if;
    -- Empty lines and comments may come before the one that counts.
    v_text := pg_catalog.regexp_replace(
        p_schedule, '^(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*', '');
    case (pg_catalog.regexp_match(v_text, '^@([^ \t\n]*)'))[1]
        when 'reboot', 'restart' then
            v_parsed.reboot := true;
            return v_parsed;
        when 'hourly' then v_fields := '{0,*,*,*,*}';
        when 'daily', 'midnight' then v_fields := '{0,0,*,*,*}';
        when 'weekly' then v_fields := '{0,0,*,*,0}';
        when 'monthly' then v_fields := '{0,0,1,*,*}';
        when 'yearly', 'annually' then v_fields := '{0,0,1,"",*}';
        else v_fields := pg_catalog.regexp_split_to_array(
            pg_catalog.split_part(v_text, e'\n', 1), '[ \t]+');
    end case;
    v_parsed.last_day := v_fields[3] = '$';
    v_parsed.both_days := v_fields[3] ^@ '*' or v_fields[5] ^@ '*';
    v_parsed.minutes := cron_compat.parse_field(v_fields[1], 0, 59);
    v_parsed.hours := cron_compat.parse_field(v_fields[2], 0, 23);
    v_parsed.days := case
        when v_parsed.last_day then '{}' else cron_compat.parse_field(v_fields[3], 1, 31)
    end;
    v_parsed.months := case
        when v_text ^@ '@' and v_fields[4] = '' then '{}'
        else cron_compat.parse_field(
            v_fields[4], 1, 12, '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}')
    end;
    v_parsed.weekdays := array(
        select distinct number % 7 from pg_catalog.unnest(cron_compat.parse_field(
            v_fields[5], 0, 7, '{sun,mon,tue,wed,thu,fri,sat}')) as number
        order by 1
    );
    if v_parsed.minutes is null or v_parsed.hours is null or v_parsed.days is null
        or v_parsed.months is null or v_parsed.weekdays = '{}'
    then
        return null;
    end if;
    return v_parsed;
end;
$$;

comment on function cron_compat.parse(text) is
$$A schedule's meaning; null when pg_cron would refuse it.$$;

create or replace function cron_compat.matches_day(
    p_schedule cron_compat.schedule, p_day timestamp
)
returns boolean
language sql
immutable
parallel safe
as $$
    select extract(month from p_day) = any (p_schedule.months)
        and case
            when p_schedule.both_days then of_month and of_week
            else of_month or of_week
        end
    from (
        select
            extract(day from p_day) = any (p_schedule.days)
                or p_schedule.last_day and extract(day from p_day + interval '1 day') = 1
                as of_month,
            extract(dow from p_day) = any (p_schedule.weekdays) as of_week
    ) as day
$$;

comment on function cron_compat.matches_day(cron_compat.schedule, timestamp) is
$$Whether a schedule is due on a day (a midnight, UTC) at all.$$;

create or replace function cron_compat.due_between(
    p_schedule cron_compat.schedule, p_after timestamptz, p_until timestamptz
)
returns setof timestamptz
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    v_after constant timestamp := p_after at time zone 'UTC';
    v_until constant timestamp := p_until at time zone 'UTC';
begin
    if p_schedule.seconds is not null then
        return query
        select due from pg_catalog.generate_series(
            p_after, p_until, pg_catalog.make_interval(secs => p_schedule.seconds)
        ) as due
        where due > p_after;
        return;
    end if;
    return query
    select due at time zone 'UTC'
    from pg_catalog.generate_series(
        pg_catalog.date_trunc('day', v_after), v_until, interval '1 day'
    ) as day
    cross join pg_catalog.unnest(p_schedule.hours) as hour
    cross join lateral (select day + pg_catalog.make_interval(hours => hour)) as begin (hour_at)
    cross join pg_catalog.unnest(p_schedule.minutes) as minute
    cross join lateral (select hour_at + pg_catalog.make_interval(mins => minute)) as time (due)
    where
        cron_compat.matches_day(p_schedule, day)
        and hour_at > v_after - interval '1 hour' and hour_at <= v_until
        and due > v_after and due <= v_until
    order by due;
end;
$$;

comment on function cron_compat.due_between(cron_compat.schedule, timestamptz, timestamptz) is
$$The times after the first and up to the second at which a schedule is due, in order.

An interval counts from the start of the last run: that is the first time to give. A schedule that
is invalid, or waits for a restart, is never due.$$;

create or replace function cron_compat.due_between(
    p_schedule text, p_after timestamptz, p_until timestamptz
)
returns setof timestamptz
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select due
    from cron_compat.due_between(cron_compat.parse(p_schedule), p_after, p_until) as due
$$;

comment on function cron_compat.due_between(text, timestamptz, timestamptz) is
$$The same of a schedule as it is written.$$;

create or replace function cron_compat.next_due(p_schedule text, p_after timestamptz)
returns timestamptz
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    v_parsed constant cron_compat.schedule := cron_compat.parse(p_schedule);
    v_due timestamptz;
    v_window interval;
begin
    -- The longest wait: 29 February on one weekday, across a year like 2100.
    foreach v_window in array '{1 hour,1 day,40 days,5 years,41 years}'::interval[] loop
        v_due := min(due) from cron_compat.due_between(
            v_parsed, p_after, p_after + v_window) as due;
        exit when v_due is not null;
    end loop;
    return v_due;
end;
$$;

comment on function cron_compat.next_due(text, timestamptz) is
$$The first time after that one at which a schedule is due; null when there is none.$$;
