from pg_cron_compat.cli import main

main(prog_name="pg-cron-compat")
