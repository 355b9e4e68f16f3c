-- Whether Supabase's Realtime is there, is Supabase's own, and is ours to call.
begin;
select plan(8);

create function pg_temp.can() returns boolean language plpgsql as $$
declare
    v_can boolean;
begin
    set local role rendio_owner;
    v_can := rendio.can_broadcast();
    reset role;
    return v_can;
end $$;

select is(
    pg_temp.can(), to_regnamespace('realtime') is not null, 'so it is where the platform has it'
);

-- The story takes a name of its own for it, so that it can be told where the platform has it too.
do $$ begin
    execute replace(
        pg_get_functiondef('rendio.can_broadcast()'::regprocedure), '''realtime''', '''my_realtime'''
    );
    if to_regrole('supabase_realtime_admin') is null then
        create role supabase_realtime_admin;
        execute format('grant supabase_realtime_admin to %I', current_user);
    end if;
end $$;
create schema my_realtime;
grant usage, create on schema my_realtime to supabase_realtime_admin;
create table my_realtime.messages (topic text);
alter table my_realtime.messages owner to supabase_realtime_admin;
grant insert on my_realtime.messages to rendio_owner;
select is(pg_temp.can(), false, 'a schema that we may not enter');
grant usage on schema my_realtime to rendio_owner;
select is(pg_temp.can(), false, 'no such function');
create function my_realtime.send(jsonb, text, text) returns void language sql as 'select';
alter function my_realtime.send(jsonb, text, text) owner to supabase_realtime_admin;
select is(pg_temp.can(), false, 'one with other arguments');
create function my_realtime.send(jsonb, text, text, boolean) returns void language sql as 'select';
alter function my_realtime.send(jsonb, text, text, boolean) owner to supabase_realtime_admin;
select is(pg_temp.can(), true, 'the platform''s own, with all the rights that it needs');

revoke execute on function my_realtime.send(jsonb, text, text, boolean) from public;
select is(pg_temp.can(), false, 'one that we may not execute');
grant execute on function my_realtime.send(jsonb, text, text, boolean) to rendio_owner;
revoke insert on my_realtime.messages from rendio_owner;
select is(pg_temp.can(), false, 'one that may not write for us');
grant insert on my_realtime.messages to rendio_owner;
do $$ begin
    execute 'create role story_intruder';
    execute format('grant story_intruder to %I', current_user);
end $$;
grant create on schema my_realtime to story_intruder;
alter function my_realtime.send(jsonb, text, text, boolean) owner to story_intruder;
select is(pg_temp.can(), false, 'and one by somebody else, who would run as our owner');

select * from finish();
rollback;
