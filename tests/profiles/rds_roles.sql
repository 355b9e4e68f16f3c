-- The roles of a managed server in the style of Amazon RDS: rdsadmin keeps the superuser, the
-- customer's role may create roles and databases and belongs to a role that opens a few doors.
-- It passes no row security and can make nobody who does.

do $$
begin
    if to_regrole('rds_superuser') is null then
        create role rds_superuser nologin;
    end if;
    if to_regrole('app_admin') is null then
        create role app_admin login nosuperuser createdb createrole;
    end if;
end
$$;

grant pg_monitor, pg_signal_backend, pg_checkpoint to rds_superuser with admin option;
grant rds_superuser to app_admin;
