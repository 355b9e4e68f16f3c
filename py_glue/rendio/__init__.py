"""rendio: the database half of an app that sells AI video by the credit."""

from importlib.metadata import version as _version

__version__ = _version("rendio")
