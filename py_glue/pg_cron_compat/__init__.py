"""pg_cron's schedules for servers without pg_cron."""

from .schedule import Schedule, parse

__all__ = ["Schedule", "parse"]
