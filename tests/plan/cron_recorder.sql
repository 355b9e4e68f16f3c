-- Stands in for pg_cron where only what the plans schedule is of interest: it writes down, and
-- runs nothing.

create schema cron;

create table cron.job (
    jobid bigint generated always as identity primary key,
    jobname text unique,
    schedule text not null,
    command text not null
);

create function cron.schedule(p_name text, p_schedule text, p_command text)
returns bigint
language sql
volatile
as $$
    insert into cron.job (jobname, schedule, command)
    values (p_name, p_schedule, p_command)
    returning jobid;
$$;
