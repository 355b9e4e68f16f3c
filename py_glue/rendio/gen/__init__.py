"""Everything that is made from the database's catalogue: `files` renders it, `stale` compares.

Python (calls, results, errors), TypeScript definitions, the API reference and the schema for
review. The SQL is the one source; see `rendio.gen.comments` for how a function's comment carries
its result type.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import unified_diff
from pathlib import Path

import psycopg

from rendio import migrate
from rendio.embedded import Server, find_binaries
from rendio.gen.catalog import GenError, read
from rendio.gen.errors import errors
from rendio.gen.python import calls, results
from rendio.gen.reference import reference
from rendio.gen.schema import schema
from rendio.gen.typescript import read_columns, typescript

__all__ = ["GenError", "diff", "files", "fresh_database"]


def files(url: str, root: Path) -> dict[Path, str]:
    """Render every generated file of the checkout from an up-to-date database."""
    with psycopg.connect(url, options="-c search_path= -c timezone=UTC -c datestyle=ISO") as conn:
        api = read(conn, root)
        dump = schema(conn)
        columns = read_columns(conn)
    package = root / "py_glue" / "rendio"
    return {
        package / "errors.py": errors(api),
        package / "results.py": results(api),
        package / "_rpc_sync.py": calls(api, is_async=False),
        package / "_rpc_async.py": calls(api, is_async=True),
        root / "functions" / "README.md": reference(api),
        root / "functions" / "database.types.ts": typescript(api, columns),
        root / "tests" / "schema.sql": dump,
    }


def diff(path: Path, wanted: str, root: Path) -> list[str]:
    """Return the unified diff from a file as it is to what it should be; empty when equal."""
    found = path.read_text() if path.exists() else ""
    name = str(path.relative_to(root))
    return list(
        unified_diff(found.splitlines(), wanted.splitlines(), name, f"{name} (new)", lineterm="")
    )


@contextmanager
def fresh_database(root: Path) -> Iterator[str]:
    """Make a server of our own with everything applied, for as long as the block lasts."""
    # Not below TMPDIR: a socket's path must be short, and open to the user the server runs as.
    with tempfile.TemporaryDirectory(prefix="rendio-gen-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        settings = {"fsync": "off", "wal_level": "logical"}
        server = Server(find_binaries(), Path(folder) / "pg", settings=settings, database="rendio")
        try:
            url = server.ensure_started().url()
            migrate.apply(url, root)
            yield url
        finally:
            server.remove()
