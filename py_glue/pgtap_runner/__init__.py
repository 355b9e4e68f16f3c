"""Run pgTAP tests from pytest, from the command line or from Python, without psql and Perl."""

from .core import Result, run, run_file

__all__ = ["Result", "run", "run_file"]
