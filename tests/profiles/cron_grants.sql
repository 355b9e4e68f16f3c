-- What a managed service gives to its customers when they switch pg_cron on: they may schedule,
-- look, and purge the history, but not write the list of jobs themselves. The setting
-- profiles.cron_role names who.

do $$
declare
    v_role name := current_setting('profiles.cron_role');
begin
    execute format('grant usage on schema cron to %I with grant option', v_role);
    execute format('grant execute on all functions in schema cron to %I', v_role);
    execute format('grant select on cron.job to %I', v_role);
    execute format('grant select, update, delete on cron.job_run_details to %I', v_role);
end
$$;
