-- Every ten minutes. Late: the table holds who called since, nothing else.
select cron.schedule(
    'cleanup-rate-limits', '3-53/10 * * * *', $$select rendio.cleanup_rate_limits()$$
);
