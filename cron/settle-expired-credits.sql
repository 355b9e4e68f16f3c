-- Every ten minutes, at most a thousand users a run. Late: nobody spends an expired credit, since
-- spending settles first; only the ledger shows the loss later.
select cron.schedule(
    'settle-expired-credits', '*/10 * * * *', $$select rendio.settle_expired_credits()$$
);
