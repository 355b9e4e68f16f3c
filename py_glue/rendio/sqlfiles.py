"""Where the SQL lives: inside the wheel, or beside the sources in a checkout."""

from pathlib import Path

FOLDERS = ("sql", "functions", "policies", "cron")


def root() -> Path:
    """Return the folder that holds ``sql/``, ``functions/``, ``policies/`` and ``cron/``."""
    here = Path(__file__).resolve().parent
    packed = here / "_sql"
    return packed if packed.is_dir() else here.parents[1]
