-- One statement counts a call and decides about it.
begin;
select plan(12);

set local timezone = 'UTC';
create function pg_temp.counted(p_subject text, p_cost integer, p_at text) returns text
language plpgsql as $$
declare
    v_rule public.rate_limit_rules := row('story', 4, interval '1 minute');
begin
    return (select format('%s until %s', c.allowed, c.full_at::time)
        from rendio.count_request(p_subject, v_rule, p_cost, ('2030-01-15 ' || p_at)::timestamptz)
            as c);
end $$;
create function pg_temp.rows_written_by(p_call text) returns bigint language plpgsql as $$
declare
    v_before bigint;
begin
    select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) into v_before
    from pg_stat_xact_user_tables where schemaname in ('public', 'rendio');
    execute p_call;
    return (select sum(n_tup_ins + n_tup_upd + n_tup_del) - v_before
        from pg_stat_xact_user_tables where schemaname in ('public', 'rendio'));
end $$;

select is(pg_temp.counted('a', 1, '08:00:00'), 't until 08:00:15', 'a place is a quarter minute');
select is(pg_temp.counted('a', 3, '08:00:00'), 't until 08:01:00', 'four are all there are');
select is(pg_temp.counted('a', 1, '08:00:14'), 'f until 08:01:00', 'a fifth waits');
select is(
    pg_temp.rows_written_by($$ select pg_temp.counted('a', 1, '08:00:14') $$), 0::bigint,
    'and writes nothing'
);
select is(pg_temp.counted('a', 1, '08:00:15'), 't until 08:01:15', 'until the first is back');
select is(pg_temp.counted('a', 1, '08:05:00'), 't until 08:05:15', 'a pause brings all back');
select is(pg_temp.counted('b', 5, '08:00:00'), 'f until 08:00:00', 'five at once never fit');
select is_empty(
    $$ select from public.rate_limits where subject = 'b' $$, 'and are not remembered'
);
select is(pg_temp.counted('c', 4, '08:00:00'), 't until 08:01:00', 'four do');

-- What an earlier rule, or a later clock, left behind is no debt.
insert into public.rate_limits (subject, endpoint, full_at)
values ('d', 'story', '2030-01-16 08:00:00+00');
select is(pg_temp.counted('d', 1, '08:00:00'), 't until 08:00:15', 'a day too much is forgotten');
select is(pg_temp.counted('d', 4, '08:00:00'), 'f until 08:00:15', 'what came since is not');
insert into public.rate_limits (subject, endpoint, full_at)
values ('e', 'story', '2030-01-15 08:01:30+00');
select is(
    pg_temp.counted('e', 1, '08:00:00'), 'f until 08:01:30',
    'what a caller of a moment later may have used is not forgotten'
);

select * from finish();
rollback;
