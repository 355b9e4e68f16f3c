-- Hourly. An hour late: the table is an hour's keys larger, nothing else.
select cron.schedule(
    'cleanup-idempotency-log', '7 * * * *', $$select rendio.cleanup_idempotency_log()$$
);
