"""What can go wrong, as one tree; every message is complete for the person who reads it.

MigrateError            exit code 1: a step failed, a file is malformed, the server is unreachable
├── LockNotObtained     5: another apply holds the lock
├── EditedFile          6: a versioned file that was applied has changed, vanished or come late
└── NotOurs             7: foreign objects, newer schema, unsupported server, standby, pooler
"""


class MigrateError(Exception):
    """A step failed, a file is malformed or the server is unreachable."""

    exit_code = 1


class LockNotObtained(MigrateError):
    """Another apply held the lock for longer than we were told to wait."""

    exit_code = 5


class EditedFile(MigrateError):
    """A versioned file no longer is what was applied."""

    exit_code = 6


class NotOurs(MigrateError):
    """The database holds something we must not touch, or is one we must not touch."""

    exit_code = 7
