-- pg_cron's functions. They run with the rights of their caller, as pg_cron's do, so that a job
-- belongs to the role that really asked for it, whichever function asked on its behalf. What that
-- role may write are two views on cron.job, which it can use no further than the functions go.

grant usage on schema cron_compat to public;

create or replace function cron_compat.caller_is_superuser()
returns boolean
language sql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select rolsuper from pg_catalog.pg_roles where rolname = current_user
$$;

comment on function cron_compat.caller_is_superuser() is
$$Whether the role in effect is a superuser.$$;

create or replace view cron_compat.own_job with (security_barrier) as
select jobid, schedule, command, nodename, nodeport, database, username, active, jobname
from cron.job
where
    cron_compat.caller_is_superuser()
    or username = current_user
    and pg_catalog.has_schema_privilege('cron', 'usage')
    and (
        database = pg_catalog.current_database()
        or pg_catalog.has_function_privilege(
            'cron.schedule_in_database(text, text, text, text, text, boolean)', 'execute')
        or pg_catalog.has_function_privilege(
            'cron.alter_job(bigint, text, text, text, text, boolean)', 'execute')
    )
with local check option;

comment on view cron_compat.own_job is
$$The jobs that the role in effect may make and change.$$;

grant select, update on cron_compat.own_job to public;
grant insert (schedule, command, nodename, nodeport, database, username, active, jobname)
on cron_compat.own_job to public;

create or replace view cron_compat.removable_job with (security_barrier) as
select jobid, jobname, username
from cron.job
where
    pg_catalog.has_schema_privilege('cron', 'usage')
    and (username = current_user or pg_catalog.has_table_privilege('cron.job', 'delete'));

comment on view cron_compat.removable_job is
$$The jobs that the role in effect may unschedule.$$;

grant select, delete on cron_compat.removable_job to public;

create or replace function cron_compat.job_exists(p_job_id bigint)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select exists (select from cron.job where jobid = p_job_id)
$$;

comment on function cron_compat.job_exists(bigint) is
$$Whether there is a job of that id, whoever it belongs to.$$;

create or replace function cron_compat.given(p_argument text, p_value text)
returns text
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_value is null then
        raise sqlstate 'XX000' using message = p_argument || ' can not be NULL';
    end if;
    return p_value;
end;
$$;

comment on function cron_compat.given(text, text) is
$$The value of an argument that must not be null.$$;

create or replace function cron_compat.check_schedule(p_schedule text)
returns void
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    if cron_compat.parse(p_schedule) is null then
        raise sqlstate '22023' using
            message = 'invalid schedule: ' || p_schedule,
            hint = 'Use cron format (e.g. 5 4 * * *), or interval format ''[1-59] seconds''';
    end if;
end;
$$;

comment on function cron_compat.check_schedule(text) is
$$Refuse what is not a schedule.$$;

create or replace function cron_compat.check_role(p_role text)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_can_login constant boolean := (
        select rolcanlogin from pg_catalog.pg_roles where rolname = p_role);
begin
    if v_can_login is null then
        raise sqlstate 'XX000' using message = pg_catalog.format('role "%s" does not exist', p_role);
    elsif not v_can_login then
        raise sqlstate 'XX000' using
            message = pg_catalog.format('role "%s" can not log in', p_role),
            detail = 'Jobs may only be run by roles that have the LOGIN attribute.';
    end if;
end;
$$;

comment on function cron_compat.check_role(text) is
$$Refuse a role that cannot run jobs.$$;

create or replace function cron_compat.check_connect(p_role text, p_database text)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if not pg_catalog.has_database_privilege(p_role, p_database, 'connect') then
        raise sqlstate 'XX000' using message = pg_catalog.format(
            'User %s does not have CONNECT privilege on %s', p_role, p_database);
    end if;
end;
$$;

comment on function cron_compat.check_connect(text, text) is
$$Refuse a database that does not exist or that a role may not connect to.$$;

create or replace function cron_compat.save_job(
    p_name text, p_schedule text, p_command text, p_database text, p_username text, p_active boolean
)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_username constant text := coalesce(p_username, current_user);
    v_database constant text := coalesce(p_database, pg_catalog.current_database());
    v_job_id bigint;
begin
    perform cron_compat.check_schedule(p_schedule);
    if p_username is not null then
        if not cron_compat.caller_is_superuser() then
            raise sqlstate 'XX000' using
                message = 'must be superuser to create a job for another role';
        end if;
        perform cron_compat.check_role(p_username);
    end if;
    perform cron_compat.check_connect(v_username, v_database);
    insert into cron_compat.own_job (
        schedule, command, nodename, nodeport, database, username, active, jobname
    )
    values (
        p_schedule, p_command, 'localhost', pg_catalog.current_setting('port')::integer,
        v_database, v_username, coalesce(p_active, true), p_name
    )
    on conflict (jobname, username) do update
    set schedule = excluded.schedule, command = excluded.command, database = excluded.database
    returning jobid into v_job_id;
    return v_job_id;
end;
$$;

comment on function cron_compat.save_job(text, text, text, text, text, boolean) is
$$Make a job, or change the caller's job of that name; returns its id.$$;

create or replace function cron.schedule(schedule text, command text)
returns bigint
language sql
volatile
strict
as $$
    select cron_compat.save_job(null, $1, $2, null, null, true)
$$;

comment on function cron.schedule(text, text) is 'schedule a pg_cron job';

create or replace function cron.schedule(job_name text, schedule text, command text)
returns bigint
language sql
volatile
as $$
    select cron_compat.save_job(
        cron_compat.given('job_name', $1),
        cron_compat.given('schedule', $2),
        cron_compat.given('command', $3),
        null, null, true
    )
$$;

comment on function cron.schedule(text, text, text) is 'schedule a pg_cron job';

create or replace function cron.schedule_in_database(
    job_name text,
    schedule text,
    command text,
    database text,
    username text default null,
    active boolean default 'true'
)
returns bigint
language sql
volatile
as $$
    select cron_compat.save_job(
        cron_compat.given('job_name', $1),
        cron_compat.given('schedule', $2),
        cron_compat.given('command', $3),
        $4, $5, $6
    )
$$;

comment on function cron.schedule_in_database(text, text, text, text, text, boolean) is
'schedule a pg_cron job';

revoke all on function cron.schedule_in_database(text, text, text, text, text, boolean) from public;

create or replace function cron_compat.change_job(
    p_job_id bigint,
    p_schedule text,
    p_command text,
    p_database text,
    p_username text,
    p_active boolean
)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_job_id is null then
        raise sqlstate 'XX000' using message = 'job_id can not be NULL';
    end if;
    if p_username is not null then
        if not cron_compat.caller_is_superuser() then
            raise sqlstate 'XX000' using message = 'must be superuser to alter username';
        end if;
        perform cron_compat.check_role(p_username);
    end if;
    if p_database is not null then
        perform cron_compat.check_connect(coalesce(p_username, current_user), p_database);
    end if;
    if p_schedule is not null then
        perform cron_compat.check_schedule(p_schedule);
    end if;
    if pg_catalog.num_nonnulls(p_schedule, p_command, p_database, p_username, p_active) = 0 then
        raise sqlstate 'XX000' using
            message = 'no updates specified',
            hint = 'You must specify at least one job attribute to change when calling alter_job';
    end if;
    update cron_compat.own_job set
        schedule = coalesce(p_schedule, schedule),
        command = coalesce(p_command, command),
        database = coalesce(p_database, database),
        username = coalesce(p_username, username),
        active = coalesce(p_active, active)
    where jobid = p_job_id;
    if not found then
        raise sqlstate 'XX000' using message = pg_catalog.format(
            'Job %s does not exist or you don''t own it', p_job_id);
    end if;
end;
$$;

comment on function cron_compat.change_job(bigint, text, text, text, text, boolean) is
$$Change what is not null of a job.$$;

create or replace function cron.alter_job(
    job_id bigint,
    schedule text default null,
    command text default null,
    database text default null,
    username text default null,
    active boolean default null
)
returns void
language sql
volatile
as $$
    select cron_compat.change_job($1, $2, $3, $4, $5, $6)
$$;

comment on function cron.alter_job(bigint, text, text, text, text, boolean) is
'Alter the job identified by job_id. Any option left as NULL will not be modified.';

revoke all on function cron.alter_job(bigint, text, text, text, text, boolean) from public;

create or replace function cron.unschedule(job_id bigint)
returns boolean
language plpgsql
volatile
strict
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from cron_compat.removable_job where jobid = job_id;
    if found then
        return true;
    elsif cron_compat.job_exists(job_id) then
        raise sqlstate '42501' using message = 'permission denied for table job';
    end if;
    raise sqlstate 'XX000' using message = pg_catalog.format(
        'could not find valid entry for job %s', job_id);
end;
$$;

comment on function cron.unschedule(bigint) is 'unschedule a pg_cron job';

create or replace function cron.unschedule(job_name text)
returns boolean
language plpgsql
volatile
strict
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from cron_compat.removable_job where jobname = job_name and username = current_user;
    if not found then
        raise sqlstate 'XX000' using message = pg_catalog.format(
            'could not find valid entry for job ''%s''', job_name);
    end if;
    return true;
end;
$$;

comment on function cron.unschedule(text) is 'unschedule a pg_cron job';
