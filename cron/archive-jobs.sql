-- Hourly, at most a thousand jobs a run. Late: video_jobs is larger, nothing else.
select cron.schedule('archive-jobs', '23 * * * *', $$select rendio.archive_jobs()$$);
