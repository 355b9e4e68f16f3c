-- Every minute. Late: users whose provider never answered wait that much longer for their refund.
select cron.schedule('sweep-stuck-jobs', '* * * * *', $$select rendio.sweep_stuck_jobs()$$);
