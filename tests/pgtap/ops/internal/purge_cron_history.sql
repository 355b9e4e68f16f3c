-- pg_cron's own history, which it never forgets by itself.
begin;
select plan(3);

create or replace function rendio.clock() returns timestamptz language sql volatile parallel safe
begin atomic select timestamptz '2030-01-08 12:00:00+00'; end;

-- Where there is no pg_cron, a table of its shape.
do $$ begin
    if to_regclass('cron.job_run_details') is null then
        perform set_config('story.without', rendio.purge_cron_history()::text, true);
        create schema if not exists cron;
        create table cron.job_run_details (
            jobid bigint, runid bigint primary key, status text, end_time timestamptz
        );
    else
        perform set_config('story.without', '0', true);
    end if;
end $$;
select is(current_setting('story.without'), '0', 'without pg_cron there is nothing to do');

delete from cron.job_run_details;
insert into cron.job_run_details (jobid, runid, status, end_time) values
(1, 1, 'succeeded', '2030-01-01 11:59:59.999999+00'),
(1, 2, 'failed', '2029-06-01 00:00:00+00'),
(1, 3, 'succeeded', '2030-01-01 12:00:00+00'),
(1, 4, 'running', null);
select is(rendio.purge_cron_history(), 2::bigint, 'runs that ended more than a week ago go');
select results_eq(
    $$ select runid from cron.job_run_details order by 1 $$, $$ values (3::bigint), (4) $$,
    'later ones and those at work stay'
);

select * from finish();
rollback;
