-- Daily, three months ahead. Weeks late: nothing; then the default partition takes the rows.
select cron.schedule('ensure-partitions', '23 1 * * *', $$select rendio.ensure_partitions()$$);
