-- Daily. Late: pg_cron's own history is larger, nothing else.
select cron.schedule('purge-cron-history', '41 3 * * *', $$select rendio.purge_cron_history()$$);
