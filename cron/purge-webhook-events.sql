-- Daily. Late: the record of webhooks is larger, nothing else.
select cron.schedule(
    'purge-webhook-events', '53 3 * * *', $$select rendio.purge_webhook_events()$$
);
