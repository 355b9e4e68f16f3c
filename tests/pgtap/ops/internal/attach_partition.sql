-- One partition, made closed and attached, for any table with a policy: here one by the day.
begin;
set local timezone = 'UTC';
set local datestyle = 'iso';
select plan(6);

set local role rendio_owner;
create table public.story_log (
    created_at timestamptz not null,
    words text not null default 'once upon a time',
    constraint story_log_words_check check (words <> ''),
    primary key (created_at)
) partition by range (created_at);
create table rendio.story_log_default partition of public.story_log default;
alter table rendio.story_log_default enable row level security;
revoke delete on rendio.story_log_default from rendio_owner;
insert into public.story_log (created_at)
values ('2030-02-27 23:59:59.999999+00'), ('2030-02-28 00:00+00'), ('2030-02-28 12:00+00'),
('2030-03-01 00:00+00');
do $$ begin
    perform rendio.attach_partition(
        row('public.story_log', interval '1 day', 3)::rendio.partition_policies,
        '2030-02-28 00:00+00');
end $$;
reset role;

select is(
    (select pg_get_expr(relpartbound, oid) from pg_class
     where oid = 'rendio.story_log_2030_02_28'::regclass),
    'FOR VALUES FROM (''2030-02-28 00:00:00+00'') TO (''2030-03-01 00:00:00+00'')',
    'a day, from midnight to midnight'
);
select results_eq(
    $$ select created_at, tableoid::regclass::text from public.story_log order by 1 $$,
    $$ values
       (timestamptz '2030-02-27 23:59:59.999999+00', 'rendio.story_log_default'),
       ('2030-02-28 00:00+00', 'rendio.story_log_2030_02_28'),
       ('2030-02-28 12:00+00', 'rendio.story_log_2030_02_28'),
       ('2030-03-01 00:00+00', 'rendio.story_log_default') $$,
    'its rows moved in from the default partition, and no others'
);
select ok(
    (select relrowsecurity from pg_class where oid = 'rendio.story_log_2030_02_28'::regclass),
    'row security is on'
);
select set_eq(
    $$ select a.grantee::regrole::text, a.privilege_type from pg_class as c
       cross join lateral aclexplode(c.relacl) as a
       where c.oid = 'rendio.story_log_2030_02_28'::regclass
           and a.privilege_type <> 'MAINTAIN' $$,
    $$ values ('rendio_owner', 'SELECT'), ('rendio_owner', 'INSERT'),
       ('rendio_owner', 'REFERENCES'), ('rendio_owner', 'TRIGGER') $$,
    'nobody reads it directly, and nobody changes, deletes or empties it'
);
select ok(
    not has_table_privilege('rendio_owner', 'rendio.story_log_default', 'delete'),
    'the right that was lent for the move is taken back'
);
select isnt(
    obj_description('rendio.story_log_2030_02_28'::regclass, 'pg_class'), null, 'it has a comment'
);

select * from finish();
rollback;
