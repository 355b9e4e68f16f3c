"""``pg-cron-compat``, and ``python -m pg_cron_compat``."""

import sys


def main() -> None:
    try:
        from .cli import main as command
    except ImportError as error:
        if "libpq" not in str(error):
            raise
        sys.exit("Error: psycopg finds no libpq on this machine: pip install 'psycopg[binary]'")
    command(prog_name="pg-cron-compat")


if __name__ == "__main__":
    main()
