-- What the runner asks and tells: which runs to start, what became of them. Times, the queue and
-- the limits are decided here; the runner only connects, sends and waits. One runner at a time
-- leads (it holds an advisory lock) and calls these.

create table if not exists cron_compat.settings (
    one boolean primary key default true check (one),
    keep_history interval default '7 days',
    max_running_jobs integer not null default 32 check (max_running_jobs > 0),
    handing_over boolean not null default false,
    server_started timestamptz
);

comment on table cron_compat.settings is
$$One row. Change keep_history and max_running_jobs as you like; the rest is the runner's.

keep_history: run details older than this go (null: never). handing_over: no run starts any more.
server_started: the start of the server at which @reboot jobs last ran.$$;

insert into cron_compat.settings default values on conflict do nothing;

create table if not exists cron_compat.task (
    jobid bigint primary key,
    schedule text not null,
    next_due timestamptz,
    queued_at timestamptz,
    runid bigint
);

comment on table cron_compat.task is
$$An active job as the runner knows it.

next_due: null when never. queued_at: since when a run waits; there is never more than one.
runid: of the run that is under way.$$;

create or replace function cron_compat.clock()
returns timestamptz
language sql
volatile
as $$
    select pg_catalog.clock_timestamp()
$$;

comment on function cron_compat.clock() is
$$The time that schedules go by. Tests replace it.$$;

create or replace function cron_compat.lock_key(p_of text)
returns bigint
language sql
immutable
parallel safe
as $$
    select pg_catalog.hashtextextended('pg_cron_compat ' || p_of, 0)
$$;

comment on function cron_compat.lock_key(text) is
$$The advisory lock of the leader, or of "job N", which each run of a job holds.$$;

create or replace function cron_compat.leader_pid()
returns integer
language sql
stable
as $$
    select l.pid
    from pg_catalog.pg_locks as l
    cross join cron_compat.lock_key('leader') as key
    where
        l.locktype = 'advisory' and l.granted and l.objsubid = 1
        and l.classid::bigint = (key >> 32) & 4294967295
        and l.objid::bigint = key & 4294967295
        and l.database = (
            select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()
        )
$$;

comment on function cron_compat.leader_pid() is
$$The server process of the runner that leads; null when no runner is there.$$;

create or replace function cron_compat.follow_jobs(p_now timestamptz)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    delete from cron_compat.task as t
    where t.runid is null
        and not exists (select from cron.job as j where j.jobid = t.jobid and j.active);

    insert into cron_compat.task (jobid, schedule, next_due)
    select j.jobid, j.schedule, cron_compat.next_due(j.schedule, p_now)
    from cron.job as j
    where j.active and not exists (select from cron_compat.task as t where t.jobid = j.jobid);

    update cron_compat.task as t
    set schedule = j.schedule, next_due = cron_compat.next_due(j.schedule, p_now)
    from cron.job as j
    where j.jobid = t.jobid and j.schedule <> t.schedule;
$$;

comment on function cron_compat.follow_jobs(timestamptz) is
$$Learn of jobs that are new, changed, switched off or gone. An interval begins here.$$;

create or replace function cron_compat.queue_due(p_now timestamptz)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    update cron_compat.task
    set
        queued_at = case
            when next_due >= p_now - interval '3 hours' then coalesce(queued_at, p_now)
            else queued_at
        end,
        next_due = cron_compat.next_due(schedule, p_now)
    where next_due <= p_now;
$$;

comment on function cron_compat.queue_due(timestamptz) is
$$Queue one run of each job that came due, however often it did since the last call.

What nobody was there to see is made up for when it is no more than three hours late, the limit of
pg_cron's own catching up.$$;

create or replace function cron_compat.start_queued(p_now timestamptz)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_places constant integer :=
        (select max_running_jobs from cron_compat.settings)
        - (select count(*) from cron_compat.task where runid is not null);
    v_job record;
    v_run_id bigint;
    v_runs jsonb := '[]';
begin
    for v_job in
        select j.*
        from cron_compat.task as t
        inner join cron.job as j on j.jobid = t.jobid
        where t.queued_at is not null and t.runid is null and j.active
        order by t.queued_at, t.jobid
        limit greatest(v_places, 0)
    loop
        insert into cron.job_run_details (jobid, database, username, command, status)
        values (v_job.jobid, v_job.database, v_job.username, v_job.command, 'starting')
        returning runid into v_run_id;
        update cron_compat.task
        set runid = v_run_id, queued_at = null, next_due = cron_compat.next_due(schedule, p_now)
        where jobid = v_job.jobid;
        v_runs := v_runs || pg_catalog.jsonb_build_object(
            'jobid', v_job.jobid, 'runid', v_run_id, 'database', v_job.database,
            'username', v_job.username, 'command', v_job.command,
            'lock_key', cron_compat.lock_key('job ' || v_job.jobid));
    end loop;
    return v_runs;
end;
$$;

comment on function cron_compat.start_queued(timestamptz) is
$$Begin a run of each queued job that has none under way, first come, first served.

@returns the runs to start: jobid, runid, database, username, command, lock_key$$;

create or replace function cron_compat.tick(p_start boolean)
returns jsonb
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now constant timestamptz := cron_compat.clock();
    v_handing_over constant boolean := (select handing_over from cron_compat.settings);
    v_runs jsonb := '[]';
begin
    if p_start and not v_handing_over then
        perform cron_compat.follow_jobs(v_now);
        perform cron_compat.queue_due(v_now);
        v_runs := cron_compat.start_queued(v_now);
    end if;
    return (
        select pg_catalog.jsonb_build_object(
            'handing_over', v_handing_over,
            'start', v_runs,
            'cancel', coalesce(
                pg_catalog.jsonb_agg(t.runid) filter (where t.runid is not null and j.jobid is null),
                '[]'
            ),
            'wait', case
                when p_start
                    then least(1, greatest(0.01, extract(epoch from min(t.next_due) - v_now)))
                else 1
            end
        )
        from cron_compat.task as t
        left join cron.job as j on j.jobid = t.jobid and j.active
    );
end;
$$;

comment on function cron_compat.tick(boolean) is
$$What the leader has to do now. Writes nothing when that is nothing.

p_start: false while it only waits for running jobs to end.
@returns start: runs, see start_queued; cancel: run ids of jobs that are gone or switched off;
wait: seconds until the next call, one at most; handing_over: lead no more$$;

create or replace function cron_compat.run_started(p_run_id bigint, p_pid integer)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    update cron.job_run_details
    set status = 'running', job_pid = p_pid, start_time = cron_compat.clock()
    where runid = p_run_id
$$;

comment on function cron_compat.run_started(bigint, integer) is
$$Record that a command was sent, and to which server process.$$;

create or replace function cron_compat.run_ended(
    p_run_id bigint, p_succeeded boolean, p_message text
)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    update cron.job_run_details
    set
        status = case when p_succeeded then 'succeeded' else 'failed' end,
        return_message = p_message,
        start_time = coalesce(start_time, cron_compat.clock()),
        end_time = cron_compat.clock()
    where runid = p_run_id;

    update cron_compat.task set runid = null where runid = p_run_id;
$$;

comment on function cron_compat.run_ended(bigint, boolean, text) is
$$Record how a run ended; its job may run again.$$;

create or replace function cron_compat.take_over()
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    v_now constant timestamptz := cron_compat.clock();
    v_server_started constant timestamptz := pg_catalog.pg_postmaster_start_time();
begin
    update cron.job_run_details
    set
        status = 'failed',
        return_message = case
            when coalesce(start_time, v_server_started) > v_server_started then 'runner restarted'
            else 'server restarted'
        end
    where status in ('starting', 'running');
    update cron_compat.task set runid = null where runid is not null;
    perform cron_compat.follow_jobs(v_now);
    update cron_compat.settings set server_started = v_server_started
    where server_started is distinct from v_server_started;
    if found then
        update cron_compat.task set queued_at = v_now
        where (cron_compat.parse(schedule)).reboot;
    end if;
end;
$$;

comment on function cron_compat.take_over() is
$$Begin to lead: runs that a former leader left are failed, @reboot jobs of a new server queued.$$;

create or replace function cron_compat.purge_history()
returns bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
    with oldest as (
        select runid, coalesce(end_time, start_time, '-infinity') as seen
        from cron.job_run_details
        order by runid
        limit 5000
    ), purged as (
        delete from cron.job_run_details as d
        using oldest as o, cron_compat.settings as s
        where d.runid = o.runid and o.seen < cron_compat.clock() - s.keep_history
            and not exists (select from cron_compat.task as t where t.runid = d.runid)
        returning d.runid
    )
    select count(*) from purged
$$;

comment on function cron_compat.purge_history() is
$$Delete run details that the policy no longer keeps, 5,000 at most; returns how many.$$;

create or replace view cron_compat.job_status as
select
    j.jobid, j.jobname, j.schedule, j.username, j.database, j.active,
    t.next_due, t.queued_at, t.runid is not null as running,
    last.status as last_status, last.return_message as last_message, last.start_time as last_start
from cron.job as j
left join cron_compat.task as t on t.jobid = j.jobid
left join lateral (
    select d.status, d.return_message, d.start_time
    from cron.job_run_details as d
    where d.jobid = j.jobid
    order by d.runid desc
    limit 1
) as last on true
order by j.jobid;

comment on view cron_compat.job_status is
$$Each job, when it is due next and how its last run went.$$;

-- The runner's functions are its owner's; the grammar and what the API needs are everybody's.
revoke execute on function
cron_compat.follow_jobs(timestamptz),
cron_compat.queue_due(timestamptz),
cron_compat.start_queued(timestamptz),
cron_compat.tick(boolean),
cron_compat.run_started(bigint, integer),
cron_compat.run_ended(bigint, boolean, text),
cron_compat.take_over(),
cron_compat.purge_history()
from public;
