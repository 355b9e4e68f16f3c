"""rendio: the database half of an app that sells AI video by the credit.

`Client` and `AsyncClient` call it; `rendio.errors` and `rendio.results` have what they raise and
return.
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rendio import errors, results
    from rendio.client import AsyncClient, Client
    from rendio.errors import RendioError

__all__ = ["AsyncClient", "Client", "RendioError", "__version__", "errors", "results"]

__version__ = _version("rendio")

_HOMES = {"AsyncClient": "client", "Client": "client", "RendioError": "errors"}


def __getattr__(name: str) -> Any:
    # On demand: the command line must start, and say what is missing, without a psycopg that works.
    if name in ("errors", "results"):
        return _import_module(f"rendio.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'rendio' has no attribute {name!r}")
    try:
        return getattr(_import_module(f"rendio.{_HOMES[name]}"), name)
    except ImportError as error:
        if "libpq" not in str(error):
            raise
        raise ImportError(
            "psycopg finds no libpq on this machine: pip install 'rendio[binary]'"
        ) from error
