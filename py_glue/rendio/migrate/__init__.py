"""The migration runner: apply, plan, status, drift and verify as a library."""

from rendio.migrate.apply import Result, StepDone, StepEvent, apply
from rendio.migrate.drift import Difference, describe, drift
from rendio.migrate.errors import EditedFile, LockNotObtained, MigrateError, NotOurs
from rendio.migrate.plan import Plan, plan
from rendio.migrate.status import Status, status
from rendio.migrate.verify import verify

__all__ = [
    "Difference",
    "EditedFile",
    "LockNotObtained",
    "MigrateError",
    "NotOurs",
    "Plan",
    "Result",
    "Status",
    "StepDone",
    "StepEvent",
    "apply",
    "describe",
    "drift",
    "plan",
    "status",
    "verify",
]
