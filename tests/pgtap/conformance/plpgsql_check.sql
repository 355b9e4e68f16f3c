-- What plpgsql_check finds in the bodies: nothing.
begin;
select plan(1);

set local client_min_messages = warning;

-- Not every server has the extension, and only a superuser may create it; the functions are the
-- same on each, so one server that has it is enough.
do $$ begin
    create extension if not exists plpgsql_check;
    perform set_config('story.check',
        (select quote_ident(n.nspname) from pg_extension as e
         join pg_namespace as n on n.oid = e.extnamespace where e.extname = 'plpgsql_check'), true);
exception
    when feature_not_supported or undefined_file or insufficient_privilege then
        perform set_config('story.check', '', true);
end $$;

-- Where there is no pg_cron, a table of its shape: purge_cron_history() looks before it deletes.
do $$ begin
    if to_regclass('cron.job_run_details') is null then
        create schema if not exists cron;
        create table cron.job_run_details (runid bigint, end_time timestamptz);
    end if;
end $$;
-- And where there is no Realtime, a function of its shape: announce_job() looks before it calls.
do $$ begin
    if to_regnamespace('realtime') is null then
        create schema realtime;
        create function realtime.send(jsonb, text, text, boolean) returns void language sql
        as 'select';
    end if;
end $$;

create function pg_temp.findings() returns table (name text, finding text) language plpgsql as $$
begin
    return query execute format(
        $query$
            select p.oid::regprocedure::text, concat_ws(' ', f.level, f.sqlstate, f.message)
            from pg_proc as p
            join pg_language as l on l.oid = p.prolang and l.lanname = 'plpgsql'
            cross join lateral %s.plpgsql_check_function_tb(
                p.oid,
                coalesce((select t.tgrelid from pg_trigger as t where t.tgfoid = p.oid limit 1), 0),
                fatal_errors := false,
                extra_warnings := true,
                performance_warnings := false
            ) as f
            where p.pronamespace in ('public'::regnamespace, 'rendio'::regnamespace)
                and p.proowner = 'rendio_owner'::regrole
        $query$,
        current_setting('story.check')
    );
end $$;

select case
    when current_setting('story.check') = '' then
        skip('plpgsql_check cannot be created on this server', 1)
    else is_empty(
        $$ select name, finding from pg_temp.findings()
           where (split_part(name, '(', 1), finding) not in (values
               -- Its loop ends by return.
               ('rendio.claim_idempotency_key',
                'warning extra 2F005 control reached end of function without RETURN'),
               -- Filled by return query.
               ('rendio.missing_partitions',
                'warning extra 00000 OUT variable "starts_at" is maybe unmodified'),
               -- An assignment is cheaper than perform on the hot path.
               ('generate_video_atomic',
                'warning extra 00000 never read variable "v_user_id"'),
               ('generate_video_atomic',
                'warning extra 00000 never read variable "v_balance"')
           ) $$,
        'no body has an error or a warning'
    )
end;

select * from finish();
rollback;
