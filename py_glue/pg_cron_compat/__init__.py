"""pg_cron's SQL API and a runner for its jobs, for PostgreSQL servers without pg_cron."""
